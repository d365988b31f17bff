import { EngineError } from '../../../src/docker/errors';
import { abortable } from '../../../src/lib/async/abortable';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { isInContainer } from '../../../src/node/cgroup';
import { NoClaim } from '../../../src/sync/engine-claim';
import { containerRecord, engineId, sandboxRecord } from '../support/records';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import {
  CONTAINER_ID,
  containerInspect,
  EXITED_STATE,
  NETWORK,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
} from '../sync/support/room';

jest.mock('../../../src/node/cgroup');
/** The mocked answer to the question whether a process belongs to a container. */
const inContainer = jest.mocked(isInContainer);

const { signal } = sharedAbortController();

describe('ContainerResync', () => {
  const other = engineId('c2');

  it('fills an empty store, and reports the remaining containers to the logs', async () => {
    const { resync, store, logs } = roomWith(
      containerInspect(),
      sandboxInspect(),
      containerInspect({ id: other, state: EXITED_STATE }),
    );
    await resync.run(true, signal);
    expect([...store.containers.values()].map(({ id, state }) => [id, state])).toEqual([
      [CONTAINER_ID, 'running'],
      [other, 'exited'],
    ]);
    expect(store.sandboxes.size).toBe(1);
    expect(logs.calls.at(-1)).toBe(`retain ${CONTAINER_ID},${other}`);
  });

  it('completes the checkpoints of sandboxes, and removes those whose sandbox the Engine does not know', async () => {
    const { resync, engine, checkpoints } = roomWith(containerInspect(), sandboxInspect());
    const [gone, beingMade] = [engineId('a8'), engineId('a9')];
    checkpoints.held = [SANDBOX_ID, gone, beingMade];
    const known = engine.client.inspectContainer.bind(engine.client);
    engine.client.inspectContainer = (id, options) =>
      id === beingMade ? Promise.resolve(sandboxInspect({ id })) : known(id, options);
    await resync.run(true, signal);
    expect(checkpoints.calls).toEqual([`complete ${SANDBOX_ID}`, `orphan ${gone}`]);
  });

  it('lists new containers before they are inspected, except those that a handler has recorded meanwhile', async () => {
    const { resync, engine, store } = roomWith(
      containerInspect(),
      containerInspect({ id: other }),
      sandboxInspect(),
    );
    const [listed, inspected] = [gate(), gate()];
    engine.gates.set('listContainers', () => listed.promise);
    engine.gates.set('inspectContainer', () => inspected.promise);
    const told: boolean[][] = [];
    const running = resync.run(true, signal, () => {
      told.push([CONTAINER_ID, SANDBOX_ID, other].map((id) => store.listed.has(id)));
    });
    await until(() => engine.count('listContainers') === 1);
    store.containers.put(containerRecord({ id: other }));
    listed.resolve();
    await until(() => told.length > 0);
    expect(told).toEqual([[true, true, false]]);
    inspected.resolve();
    await running;
  });

  it('inspects each container once: first those that cannot be listed earlier, then sandboxes', async () => {
    const { resync, engine } = roomWith(
      sandboxInspect(),
      containerInspect(),
      containerInspect({ id: other }),
    );
    await resync.run(true, signal);
    expect(engine.calls.filter((call) => call.startsWith('inspect'))).toEqual(
      [CONTAINER_ID, other, SANDBOX_ID].map((id) => `inspectContainer ${id}`),
    );
  });

  it('keeps the networks of sandboxes that are listed or live when it collects garbage', async () => {
    const kept: ReadonlySet<string>[] = [];
    const network = {
      ...NETWORK,
      livingSandboxes: () => Promise.resolve(new Set([engineId('a9')])),
      collectGarbage: (existing: ReadonlySet<string>) => void kept.push(existing),
    };
    const { resync, engine } = syncRoom({}, { network });
    engine.containers.set(SANDBOX_ID, sandboxInspect());
    await resync.run(true, signal);
    await resync.run(true, signal);
    expect(kept).toEqual([new Set([SANDBOX_ID, engineId('a9')])]);
  });

  it('forgets containers that are no longer listed', async () => {
    const { resync, engine, store, logs } = roomWith(containerInspect(), sandboxInspect());
    await resync.run(true, signal);
    engine.containers.clear();
    await resync.run(true, signal);
    expect([store.containers.size, store.sandboxes.size]).toEqual([0, 0]);
    expect(logs.calls).toContain(`forget ${CONTAINER_ID}`);
  });

  it('gives up on a list that hangs, and waits longer each time until one is answered', async () => {
    const { resync, engine, store } = syncRoom({}, { overrides: { listMs: { first: 10, longest: 30 } } });
    engine.containers.set(CONTAINER_ID, containerInspect());
    const list = engine.client.listContainers.bind(engine.client);
    engine.client.listContainers = (_, options) => abortable(gate<never>().promise, options!.signal);
    for (const patience of [10, 20, 30, 30])
      expect(await rejectionOf(resync.run(true, signal))).toBe(
        `DEADLINE_EXCEEDED The list of containers took longer than ${patience} ms`,
      );
    engine.client.listContainers = list;
    await resync.run(true, signal);
    expect(store.containers.size).toBe(1);
    engine.client.listContainers = (_, options) => abortable(gate<never>().promise, options!.signal);
    expect(await rejectionOf(resync.run(true, signal))).toContain('longer than 10 ms');
  });

  it('retries a failing inspect at growing intervals, and at once after it has succeeded in between', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const { resync, engine } = roomWith(containerInspect());
      const refuse = (): Promise<void> => Promise.reject(new EngineError('UNKNOWN', 500, 'no'));
      const isAskedAfter = async (seconds: number): Promise<void> => {
        const before = engine.count('inspectContainer');
        if (seconds > 0) {
          jest.advanceTimersByTime(1000 * seconds - 1);
          await resync.retryDoubtful(signal);
          expect([seconds, engine.count('inspectContainer')]).toEqual([seconds, before]);
          jest.advanceTimersByTime(1);
        }
        await resync.retryDoubtful(signal);
        expect([seconds, engine.count('inspectContainer')]).toEqual([seconds, before + 1]);
      };
      engine.gates.set('inspectContainer', refuse);
      resync.doubt(CONTAINER_ID);
      for (const seconds of [0, 0, 30, 60, 300, 300]) await isAskedAfter(seconds);
      engine.gates.clear();
      await isAskedAfter(300);
      await resync.retryDoubtful(signal);
      engine.gates.set('inspectContainer', refuse);
      resync.doubt(CONTAINER_ID);
      for (const seconds of [0, 0, 30]) await isAskedAfter(seconds);
    } finally {
      jest.useRealTimers();
    }
  });

  it('distrusts an Engine that knows no pod while the processes of pods live', async () => {
    const abandoned: string[] = [];
    let living = new Set([SANDBOX_ID]);
    const network = {
      ...NETWORK,
      heldSandboxes: () => [SANDBOX_ID],
      livingSandboxes: () => Promise.resolve(living),
      abandon: (id: string) => void abandoned.push(id),
    };
    const { resync, engine, store } = syncRoom({}, { network });
    for (const inspect of [containerInspect(), sandboxInspect()]) engine.containers.set(inspect.Id, inspect);
    await resync.run(true, signal);
    engine.containers.clear();
    expect(await rejectionOf(resync.run(true, signal))).toMatch(
      /^UNAVAILABLE Docker Engine reports none of the earlier pods, but the processes of 1 are still running: is its data .* mounted\?/,
    );
    expect([store.containers.size, store.sandboxes.size, abandoned]).toEqual([1, 1, []]);
    // The directory below the missing mount may be an old data root with containers from long ago.
    const stranger = 'd'.repeat(64);
    engine.containers.set(stranger, sandboxInspect({ id: stranger }));
    expect(await rejectionOf(resync.run(true, signal))).toMatch(
      /^UNAVAILABLE .* the processes of 1 are still running/,
    );
    expect([store.containers.size, store.sandboxes.size, abandoned]).toEqual([1, 1, []]);
    engine.containers.clear();
    // The processes have ended, so the Engine's answer counts now.
    living = new Set();
    await resync.run(true, signal);
    expect([store.containers.size, store.sandboxes.size]).toEqual([0, 0]);
    expect(abandoned).toContain(SANDBOX_ID);
  });

  it('also looks for processes of sandboxes on this machine, but only if the Engine runs here', async () => {
    for (const localEngine of [true, false]) {
      const { resync, engine, store } = syncRoom({}, {}, new NoClaim(), { localEngine });
      engine.containers.set(SANDBOX_ID, sandboxInspect());
      await resync.run(true, signal);
      engine.containers.clear();
      inContainer.mockReset().mockResolvedValue(true);
      const looking = resync.run(true, signal);
      if (localEngine)
        expect(await rejectionOf(looking)).toMatch(/^UNAVAILABLE .* the processes of 1 are still running/);
      else await looking;
      const { Pid: pid } = sandboxInspect().State;
      expect([store.sandboxes.size, inContainer.mock.calls]).toEqual(
        localEngine ? [1, [[pid, SANDBOX_ID]]] : [0, []],
      );
      // The processes have ended, so the Engine's answer counts now.
      inContainer.mockResolvedValue(false);
      await resync.run(true, signal);
      expect(store.sandboxes.size).toBe(0);
    }
  });

  it('does not treat pid 0 as a process, and a network alone is no evidence of one', async () => {
    const network = { ...NETWORK, heldSandboxes: () => [SANDBOX_ID] };
    const { resync } = syncRoom({}, { network }, new NoClaim(), { localEngine: true });
    inContainer.mockReset().mockResolvedValue(true);
    await resync.run(true, signal);
    expect(inContainer).not.toHaveBeenCalled();
  });

  it('keeps a container that a handler added while the list was under way', async () => {
    const { resync, engine, store } = roomWith();
    const listed = gate();
    engine.gates.set('listContainers', () => listed.promise);
    const resyncing = resync.run(true, signal);
    await until(() => engine.count('listContainers') === 1);
    store.sandboxes.put(sandboxRecord({ id: 'new' }));
    store.containers.put(containerRecord({ id: 'newer' }));
    listed.resolve();
    await resyncing;
    expect([store.sandboxes.get('new'), store.containers.get('newer')]).toMatchObject([
      { id: 'new' },
      { id: 'newer' },
    ]);
    // The next list is newer than the records.
    await resync.run(false, signal);
    expect([store.sandboxes.size, store.containers.size]).toEqual([0, 0]);
  });

  it('does not bring back a container that was removed while the list was under way', async () => {
    const { resync, engine, store } = roomWith(containerInspect(), sandboxInspect());
    await resync.run(true, signal);
    const inspected = gate();
    engine.gates.set('inspectContainer', () => inspected.promise);
    const resyncing = resync.run(true, signal);
    await until(() => engine.count('inspectContainer') === 4);
    // A handler removed both, but the slow Engine still describes them.
    store.containers.delete(CONTAINER_ID);
    store.sandboxes.delete(SANDBOX_ID);
    inspected.resolve();
    await resyncing;
    expect([store.containers.size, store.sandboxes.size]).toEqual([0, 0]);
  });

  it.each([
    { desc: 'one in the known state', change: undefined, calls: 0 },
    { desc: 'one in another state', change: containerInspect({ state: EXITED_STATE }), calls: 1 },
    { desc: 'one under another name', change: containerInspect({ name: 'k8s_app_web_shop_u_9' }), calls: 1 },
  ])('inspects only containers that differ: $desc', async ({ change, calls }) => {
    const { resync, engine, store } = roomWith(containerInspect(), sandboxInspect());
    await resync.run(true, signal);
    if (change !== undefined) engine.containers.set(CONTAINER_ID, change);
    const before = engine.count('inspectContainer');
    await resync.run(false, signal);
    expect(engine.count('inspectContainer') - before).toBe(calls);
    expect(store.containers.get(CONTAINER_ID)?.state).toBe(change?.State.Status ?? 'running');
  });

  it('does not keep inspecting a container whose state is unknown to dockbridge', async () => {
    const { resync, engine, store } = roomWith(containerInspect({ state: { Status: 'invented' } }));
    await resync.run(true, signal);
    await resync.run(false, signal);
    expect(engine.count('inspectContainer')).toBe(1);
    expect(store.containers.get(CONTAINER_ID)?.state).toBe('unknown');
  });

  it('leaves a reserved name to its handler', async () => {
    const { resync, engine, reservations, store } = roomWith(containerInspect({ name: 'reserved' }));
    const handler = gate();
    const held = reservations.hold('reserved', signal, () => handler.promise);
    await settle();
    await resync.run(true, signal);
    expect([engine.count('inspectContainer'), store.containers.size]).toEqual([0, 0]);
    handler.resolve();
    await held;
  });

  it('inspects many containers at once, but not all', async () => {
    const ids = Array.from({ length: 60 }, (_, index) => engineId(`f${index}x`));
    const { resync, engine } = roomWith(...ids.map((id) => containerInspect({ id })));
    const inspected = gate();
    engine.gates.set('inspectContainer', () => inspected.promise);
    const resyncing = resync.run(true, signal);
    await until(() => engine.count('inspectContainer') >= 40);
    await settle();
    expect(engine.count('inspectContainer')).toBe(40);
    inspected.resolve();
    await resyncing;
    expect(engine.count('inspectContainer')).toBe(60);
  });

  it('records the others when one container cannot be inspected', async () => {
    const { resync, engine, store, complaints } = roomWith(
      containerInspect(),
      containerInspect({ id: other }),
    );
    engine.gates.set(`inspectContainer ${CONTAINER_ID}`, () =>
      Promise.reject(new EngineError('UNKNOWN', 500, 'broken')),
    );
    await resync.run(true, signal);
    expect(store.containers.get(other)?.state).toBe('running');
    // The data of the list is better than nothing, because kubelet would otherwise start a second
    // container.
    expect(store.containers.get(CONTAINER_ID)).toMatchObject({ state: 'running', sandboxId: SANDBOX_ID });
    expect(complaints.join()).toContain('broken');
  });

  it('records the others when one container has invalid labels', async () => {
    const odd = containerInspect();
    odd.Config.Labels!['io.dockbridge.cri'] = '{"v":1}';
    const { resync, store } = roomWith(odd, containerInspect({ id: other }));
    await resync.run(true, signal);
    expect(store.containers.size).toBe(2);
  });

  it('fails and forgets nothing when the Engine goes down meanwhile', async () => {
    const { resync, engine, store } = roomWith(containerInspect(), containerInspect({ id: other }));
    await resync.run(true, signal);
    engine.gates.set('inspectContainer', () => {
      engine.down = true;
      return Promise.resolve();
    });
    expect(await rejectionOf(resync.run(true, signal))).toMatch(/^UNAVAILABLE/);
    expect(store.containers.size).toBe(2);
  });

  it('keeps a network whose sandbox cannot be inspected, and frees one whose sandbox is gone', async () => {
    const abandoned: string[] = [];
    const network = {
      ...NETWORK,
      heldSandboxes: () => [engineId('a8'), engineId('a9')],
      abandon: (id: string) => void abandoned.push(id),
    };
    const { resync, engine } = syncRoom({}, { network });
    engine.gates.set(`inspectContainer ${engineId('a8')}`, () =>
      Promise.reject(new EngineError('UNKNOWN', 500, 'broken')),
    );
    await resync.run(true, signal);
    expect(abandoned).toEqual([engineId('a9')]);
  });

  it('does not log again that logs without a thread cannot be tidied up', async () => {
    const { resync, logs, complaints } = roomWith(containerInspect());
    logs.retain = () => Promise.reject(new Error('no thread'));
    Object.assign(logs, { trouble: { reason: 'LogsWithoutThread', message: 'no thread' } });
    await resync.run(true, signal);
    expect(complaints).toEqual([]);
  });

  it('continues when the logs cannot be tidied up', async () => {
    const { resync, logs, complaints, store } = roomWith(containerInspect());
    logs.retain = () => Promise.reject(new Error('disk full'));
    await resync.run(true, signal);
    expect([store.containers.size, complaints.join()]).toEqual([1, expect.stringContaining('disk full')]);
  });
});
