import { getEventListeners } from 'node:events';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { FactsReader } from '../../../src/sync/facts-reader';
import type { EngineInfo } from '../../../src/engine/types';
import { fakeDocker } from '../../fakes/fake-docker';
import { gate, settle, type Gate } from '../support/async';

const VERSION = { Version: '20.10.24', ApiVersion: '1.41', Os: 'linux', Arch: 'amd64' };
const INFO: EngineInfo = {
  ...{
    DockerRootDir: '/var/lib/docker',
    CgroupDriver: 'systemd',
    Driver: 'overlay2',
    Runtimes: { runc: {} },
  },
  ...{ DefaultRuntime: 'runc', OperatingSystem: 'Debian', KernelVersion: '6.1.0-13-amd64' },
};
const ASK_BESIDE = 1_000;

interface Question {
  readonly signal: AbortSignal;
  readonly answer: Gate<EngineInfo>;
}

describe('the questions what the Engine is', () => {
  let questions: Question[];
  let facts: FactsReader;
  let waiting: AbortController;
  let stopped: AbortController;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    questions = [];
    [waiting, stopped] = [new AbortController(), new AbortController()];
    const docker = fakeDocker({
      info: (options) => {
        const question = { signal: options!.signal!, answer: gate<EngineInfo>() };
        questions.push(question);
        return question.answer.promise;
      },
    });
    facts = new FactsReader(
      { docker, store: new WritableStore(), logger: silentLogger, localEngine: false },
      { askBeside: ASK_BESIDE, recallAfter: 10 * ASK_BESIDE },
    );
  });
  afterEach(() => {
    stopped.abort(new Error('the end'));
    jest.useRealTimers();
  });

  const read = () => facts.read(VERSION, waiting.signal, stopped.signal);
  const answered = async (question: Question | undefined): Promise<void> => {
    question!.answer.resolve(INFO);
    await settle();
  };

  async function isAskedAfter(ms: number): Promise<void> {
    const before = questions.length;
    await jest.advanceTimersByTimeAsync(ms - 1);
    expect(questions).toHaveLength(before);
    await jest.advanceTimersByTimeAsync(1);
    expect(questions).toHaveLength(before + 1);
  }

  it('are repeated ever more rarely while none is answered, and as soon as at first after an answer', async () => {
    const { usable } = read();
    expect(questions).toHaveLength(1);
    for (const factor of [1, 4, 16]) await isAskedAfter(factor * ASK_BESIDE);
    await answered(questions[1]);
    await usable;
    const again = facts.readAgain(waiting.signal);
    await settle();
    expect(questions).toHaveLength(5);
    for (const factor of [1, 4]) await isAskedAfter(factor * ASK_BESIDE);
    await answered(questions[6]);
    await again;
  });

  it('leave nothing behind once one is answered: no timer, no listener, no question', async () => {
    const { usable, learned } = read();
    await isAskedAfter(ASK_BESIDE);
    await answered(questions[0]);
    await Promise.all([usable, learned]);
    // The pause before an earlier answer would be recalled ends with its own time.
    await jest.advanceTimersByTimeAsync(10 * ASK_BESIDE);
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(stopped.signal, 'abort')).toEqual([]);
    expect(getEventListeners(waiting.signal, 'abort')).toEqual([]);
    expect(questions.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });
});
