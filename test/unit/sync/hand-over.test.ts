import { EngineError } from '../../../src/docker/errors';
import { handOverPods, type HandOverStep } from '../../../src/sync/hand-over';
import { engineId } from '../support/records';
import {
  CONTAINER_ID,
  containerInspect,
  EXITED_STATE,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
  type SyncRoom,
} from './support/room';

async function handedOver(
  { docker, logs }: SyncRoom,
  over: { ensure?: () => Promise<boolean>; letGo?: () => Promise<string[]> } = {},
): Promise<HandOverStep[]> {
  const { ensure = () => Promise.resolve(true), letGo = () => Promise.resolve([SANDBOX_ID]) } = over;
  const steps: HandOverStep[] = [];
  for await (const step of handOverPods({ docker, logs, network: { letGo }, checkpoints: { ensure } }))
    steps.push(step);
  return steps;
}

const short = (steps: readonly HandOverStep[]): string[] =>
  steps.map(({ what, outcome }) => `${what} ${outcome}`);

describe('handOverPods', () => {
  it('completes checkpoints, links logs of what runs, and lets namespaces go last', async () => {
    const exited = containerInspect({ id: engineId('c2'), state: EXITED_STATE });
    const room = roomWith(sandboxInspect(), containerInspect(), exited);
    const steps = await handedOver(room);
    expect(short(steps)).toEqual(['checkpoint done', 'log done', 'namespace done']);
    expect(steps[1]?.detail).toBe('/var/log/pods/app/0.log is a link, the copy is /kept');
    expect(room.logs.calls).toEqual([`hand over ${CONTAINER_ID}`]);
  });

  it('tells where nothing was to be done', async () => {
    const room = roomWith(sandboxInspect(), containerInspect());
    room.logs.handOver = () => Promise.resolve({ changed: false, keptAs: '' });
    const steps = await handedOver(room, {
      ensure: () => Promise.resolve(false),
      letGo: () => Promise.resolve([]),
    });
    expect(short(steps)).toEqual(['checkpoint nothing', 'log nothing']);
  });

  it('names a container whose log driver has no file', async () => {
    const inspect = containerInspect();
    inspect.LogPath = '';
    inspect.HostConfig.LogConfig = { Type: 'journald', Config: {} };
    const [step] = await handedOver(roomWith(inspect));
    expect(step).toMatchObject({
      what: 'log',
      outcome: 'nothing',
      detail: expect.stringContaining('journald') as string,
    });
  });

  it('goes on after each failure, and tells it', async () => {
    const other = engineId('c2');
    const room = roomWith(containerInspect({ id: other }), sandboxInspect(), containerInspect());
    room.engine.gates.set(`inspectContainer ${other}`, () =>
      Promise.reject(new EngineError('UNKNOWN', 500, 'broken')),
    );
    room.logs.handOver = () => Promise.reject(new Error('disk full'));
    const fails = (why: string) => () => Promise.reject(new Error(why));
    const steps = await handedOver(room, { ensure: fails('read-only'), letGo: fails('no mount') });
    expect(steps.map(({ what, outcome, detail }) => `${what} ${outcome} ${detail}`)).toEqual([
      'container failed broken',
      'checkpoint failed read-only',
      'log failed disk full',
      'namespace failed no mount',
    ]);
  });
});
