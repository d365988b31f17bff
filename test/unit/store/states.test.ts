import type { EngineState } from '../../../src/store/records';
import {
  hasEnded,
  hasProcess,
  isAlive,
  isCreated,
  isListed,
  isPaused,
  isReady,
  isRunning,
  mayRun,
  Stage,
  stageOf,
  wasStarted,
} from '../../../src/store/states';
import { containerRecord, runningContainer, sandboxRecord } from '../support/records';

const ANSWERS: Record<EngineState, string> = {
  created: 'new created',
  running: 'may-run running alive process ready started',
  paused: 'may-run paused alive process ready started',
  restarting: 'may-run started',
  removing: 'unlisted stopped',
  exited: 'ended stopped',
  dead: 'ended stopped',
  unknown: 'may-run created',
};

it.each(Object.entries(ANSWERS))('a container in the state %s is or has: %s', (name, answers) => {
  const state = name as EngineState;
  const container = runningContainer({ state });
  const told = [
    ...(isCreated(container) ? ['new'] : []),
    ...(mayRun(container) ? ['may-run'] : []),
    ...(isRunning(container) ? ['running'] : []),
    ...(isPaused(container) ? ['paused'] : []),
    ...(isAlive(container) ? ['alive'] : []),
    ...(hasEnded(container) ? ['ended'] : []),
    ...(hasProcess(container) ? ['process'] : []),
    ...(isListed(container) ? [] : ['unlisted']),
    ...(isReady(sandboxRecord({ state })) ? ['ready'] : []),
    Object.keys(Stage)[stageOf(container)],
  ];
  expect(told.join(' ')).toBe(answers);
});

describe('details beyond the state alone', () => {
  it('include a process that is gone', () => expect(hasProcess(runningContainer({ pid: 0 }))).toBe(false));

  it.each([{ networkReady: false }, { stopping: true }])('make a sandbox with %j not ready', (over) =>
    expect(isReady(sandboxRecord({ state: 'running', ...over }))).toBe(false),
  );

  it('include a failed start, which is a start and the end of the container', () => {
    const failed = containerRecord({ error: 'no such file' });
    expect([wasStarted(containerRecord()), wasStarted(failed)]).toEqual([false, true]);
    expect([stageOf(undefined), stageOf(containerRecord()), stageOf(failed)]).toEqual([
      Stage.absent,
      Stage.created,
      Stage.stopped,
    ]);
  });
});
