import { EngineError } from '../../../src/docker/errors';
import type { Checkpoints } from '../../../src/network/sandbox-checkpoints';
import type { SandboxRecord } from '../../../src/store/records';
import { handOverPods, type HandOverStep } from '../../../src/sync/hand-over';
import { gate, until } from '../support/async';
import { engineId } from '../support/records';
import {
  CONTAINER_ID,
  containerInspect,
  CREATED_STATE,
  EXITED_STATE,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
  type SyncRoom,
} from './support/room';

async function handedOver(
  { docker, logs }: SyncRoom,
  over: { ensure?: Checkpoints['ensure']; letGo?: () => Promise<string[]> } = {},
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
  it('completes checkpoints, links the logs of running containers, and releases namespaces last', async () => {
    const exited = containerInspect({ id: engineId('c2'), state: EXITED_STATE });
    const room = roomWith(sandboxInspect(), containerInspect(), exited);
    const steps = await handedOver(room);
    expect(steps).toEqual([
      { what: 'checkpoint', of: 'k8s_POD_web_shop_a100_0', outcome: 'done', detail: 'written' },
      {
        ...{ what: 'log', of: 'k8s_app_web_shop_c100_0', outcome: 'done' },
        detail: '/var/log/pods/app/0.log is a link, the copy is /kept',
      },
      { what: 'namespace', of: SANDBOX_ID, outcome: 'done', detail: 'is no longer held' },
    ]);
    expect(room.logs.calls).toEqual([`hand over ${CONTAINER_ID}`]);
  });

  it('reports steps that were already done', async () => {
    const room = roomWith(sandboxInspect(), containerInspect());
    room.logs.handOver = () => Promise.resolve({ changed: false, keptAs: '' });
    const steps = await handedOver(room, {
      ensure: () => Promise.resolve(false),
      letGo: () => Promise.resolve([]),
    });
    expect(steps).toEqual([
      {
        what: 'checkpoint',
        of: 'k8s_POD_web_shop_a100_0',
        outcome: 'nothing',
        detail: 'was already complete',
      },
      { what: 'log', of: 'k8s_app_web_shop_c100_0', outcome: 'nothing', detail: 'was already a link' },
    ]);
  });

  it('reports a container whose log driver has no file', async () => {
    const inspect = containerInspect();
    inspect.LogPath = '';
    inspect.HostConfig.LogConfig = { Type: 'journald', Config: {} };
    const unheld = { letGo: () => Promise.resolve([]) };
    const step = (driver: string): HandOverStep => ({
      ...{ what: 'log', of: 'k8s_app_web_shop_c100_0', outcome: 'nothing' },
      detail: `its log driver, ${driver}, has no file to link to`,
    });
    expect(await handedOver(roomWith(inspect), unheld)).toEqual([step('journald')]);
    delete inspect.HostConfig.LogConfig;
    expect(await handedOver(roomWith(inspect), unheld)).toEqual([step('unknown')]);
  });

  it('continues after each failure, and reports it', async () => {
    const other = engineId('c2');
    const room = roomWith(containerInspect({ id: other }), sandboxInspect(), containerInspect());
    room.engine.gates.set(`inspectContainer ${other}`, () =>
      Promise.reject(new EngineError('UNKNOWN', 500, 'broken')),
    );
    room.logs.handOver = () => Promise.reject(new Error('disk full'));
    const fails = (why: string) => () => Promise.reject(new Error(why));
    const steps = await handedOver(room, { ensure: fails('read-only'), letGo: fails('no mount') });
    expect(steps).toEqual([
      { what: 'container', of: other, outcome: 'failed', detail: 'broken' },
      { what: 'checkpoint', of: 'k8s_POD_web_shop_a100_0', outcome: 'failed', detail: 'read-only' },
      { what: 'log', of: 'k8s_app_web_shop_c100_0', outcome: 'failed', detail: 'disk full' },
      { what: 'namespace', of: 'all pods', outcome: 'failed', detail: 'no mount' },
    ]);
  });

  it('gives the logs and the checkpoints the data of the container and of the sandbox', async () => {
    const sandbox = sandboxInspect();
    sandbox.HostConfig.Memory = 7;
    const room = roomWith(sandbox, containerInspect());
    const asked: unknown[] = [];
    room.logs.handOver = (log) => {
      asked.push(log);
      return Promise.resolve({ changed: true, keptAs: '' });
    };
    const ensured: unknown[] = [];
    const ensure = (record: SandboxRecord, host: object): Promise<boolean> => {
      ensured.push([record.id, record.state, record.networkReady, record.ips, host]);
      return Promise.resolve(true);
    };
    const steps = await handedOver(room, { ensure });
    expect(steps[1]).toEqual({
      ...{ what: 'log', of: 'k8s_app_web_shop_c100_0', outcome: 'done' },
      detail: '/var/log/pods/app/0.log is a link',
    });
    expect(asked).toEqual([
      {
        ...{ containerId: CONTAINER_ID, logPath: '/var/log/pods/app/0.log' },
        spoolPath: '/var/lib/docker/containers/c/c-json.log',
        startedAt: '2023-11-14T22:13:21.000000002Z',
      },
    ]);
    expect(ensured).toEqual([[SANDBOX_ID, 'running', false, [], sandbox.HostConfig]]);
  });

  it.each([
    ['links the log of a paused container', { Status: 'paused' }, ['log done']],
    ['leaves the log of a container that never started', CREATED_STATE, []],
    ['leaves the log of a container that has ended', EXITED_STATE, []],
  ])('%s', async (_, state, expected) => {
    const steps = await handedOver(roomWith(containerInspect({ state })), {
      letGo: () => Promise.resolve([]),
    });
    expect(short(steps)).toEqual(expected);
  });

  it('leaves a container without a log of its own, and one that belongs to no pod', async () => {
    const [silent, foreign] = [containerInspect({ logPath: '' }), containerInspect({ id: engineId('c2') })];
    silent.Config.Labels!['io.kubernetes.container.logpath'] = '';
    foreign.Name = '/somebody';
    const steps = await handedOver(roomWith(silent, foreign), { letGo: () => Promise.resolve([]) });
    expect(steps).toEqual([]);
  });

  it('leaves a sandbox whose name is not ours', async () => {
    const strange = { ...sandboxInspect(), Name: '/strange' };
    expect(await handedOver(roomWith(strange), { letGo: () => Promise.resolve([]) })).toEqual([]);
  });

  it('reports nothing about a container that is removed meanwhile', async () => {
    const room = roomWith(containerInspect(), sandboxInspect());
    room.engine.gates.set(`inspectContainer ${CONTAINER_ID}`, () => {
      room.engine.containers.delete(CONTAINER_ID);
      return Promise.resolve();
    });
    expect(short(await handedOver(room))).toEqual(['checkpoint done', 'namespace done']);
  });

  it('lists only pods, and ends with its caller', async () => {
    const room = roomWith(containerInspect(), sandboxInspect());
    const list = jest.spyOn(room.docker, 'listContainers');
    const caller = new AbortController();
    room.engine.gates.set('inspectContainer', () => {
      caller.abort(new Error('enough'));
      return gate().promise;
    });
    const parts = {
      ...{ docker: room.docker, logs: room.logs, network: { letGo: () => Promise.resolve([]) } },
      checkpoints: { ensure: () => Promise.resolve(true) },
    };
    await expect(handOverPods(parts, caller.signal).next()).rejects.toThrow('enough');
    expect(list.mock.calls).toEqual([[{ label: ['io.kubernetes.docker.type'] }, { signal: caller.signal }]]);
    await expect(handOverPods(parts, caller.signal).next()).rejects.toThrow('enough');
  });

  it('allows ten seconds for an inspect', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const room = roomWith(containerInspect());
      room.engine.gates.set('inspectContainer', () => gate().promise);
      const handing = handedOver(room, { letGo: () => Promise.resolve([]) });
      await until(() => room.engine.count('inspectContainer') === 1);
      await jest.advanceTimersByTimeAsync(9_999);
      expect(jest.getTimerCount()).toBe(1);
      await jest.advanceTimersByTimeAsync(1);
      expect(await handing).toEqual([
        {
          what: 'container',
          of: CONTAINER_ID,
          outcome: 'failed',
          detail: 'inspect took longer than 10000 ms',
        },
      ]);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});
