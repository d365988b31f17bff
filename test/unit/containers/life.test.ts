import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import type { Store, WritableStore } from '../../../src/store/store';
import { UnfinishedSandboxes } from '../../../src/containers/unfinished-sandboxes';
import { NodeUpkeep, NoUpkeep, type Upkeep } from '../../../src/containers/upkeep';
import type { ContainerExtra } from '../../../src/translate/container/container-create';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { EXTRA_LABEL } from '../../../src/translate/shared/labels';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import {
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  CREATED_STATE,
  EXITED_STATE,
  NETWORK,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
  type SyncRoom,
} from '../sync/support/room';
import { V2Machine } from './support/v2-machine';

describe('refresh', () => {
  it('records sandboxes and containers', async () => {
    const { life, store } = roomWith(containerInspect(), sandboxInspect());
    await Promise.all([life.refresh(CONTAINER_ID), life.refresh(SANDBOX_ID)]);
    expect(store.containers.get(CONTAINER_ID)).toMatchObject({ state: 'running', sandboxId: SANDBOX_ID });
    expect(store.sandboxes.get(SANDBOX_ID)).toMatchObject({ state: 'running', ips: ['172.17.0.2'] });
  });

  it('forgets containers that the Engine no longer has', async () => {
    const { life, engine, store, logs } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    engine.containers.clear();
    await life.refresh(CONTAINER_ID);
    expect([store.containers.size, logs.calls.at(-1)]).toEqual([0, `forget ${CONTAINER_ID}`]);
  });

  it('keeps the record when the Engine does not answer', async () => {
    const { life, engine, store } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    engine.down = true;
    expect(await rejectionOf(life.refresh(CONTAINER_ID))).toMatch(/^UNAVAILABLE/);
    expect(store.containers.get(CONTAINER_ID)?.state).toBe('running');
  });

  it.each([
    { desc: 'no type', labels: {} },
    { desc: 'an unknown type', labels: { 'io.kubernetes.docker.type': 'other' } },
    { desc: 'a container without a sandbox', labels: { 'io.kubernetes.docker.type': 'container' } },
    { desc: 'no labels', labels: null },
  ])('ignores foreign containers: $desc', async ({ labels }) => {
    const inspect = containerInspect();
    const { life, store } = roomWith({ ...inspect, Config: { ...inspect.Config, Labels: labels } });
    await life.refresh(CONTAINER_ID);
    expect([store.containers.size, store.sandboxes.size]).toEqual([0, 0]);
  });

  it('holds no network for a container that has a sandbox’s labels from its image', async () => {
    const stateOf = jest.fn(() => Promise.resolve({ ready: true, ips: [] }));
    const { life, engine, store } = syncRoom({}, { network: { ...NETWORK, stateOf } });
    engine.containers.set(SANDBOX_ID, { ...sandboxInspect(), Name: '/quirky_noether' });
    await life.refresh(SANDBOX_ID);
    expect([stateOf.mock.calls.length, store.sandboxes.size, store.foreign.size]).toEqual([0, 0, 1]);
  });

  it('ends when its signal fires while another caller holds the container', async () => {
    const { life } = roomWith(containerInspect());
    const busy = gate();
    const held = life.withContainer(CONTAINER_ID, undefined, () => busy.promise);
    const controller = new AbortController();
    const refreshing = life.refresh(CONTAINER_ID, controller.signal);
    controller.abort(new Error('gone'));
    await expect(refreshing).rejects.toThrow('gone');
    busy.resolve();
    await held;
  });
});

describe('data that only dockbridge knows about a container', () => {
  it('survives an inspect: the reason for a refused start, until the container starts', async () => {
    const { life, store, engine } = roomWith(containerInspect({ state: CREATED_STATE }));
    await life.refresh(CONTAINER_ID);
    store.containers.put({ ...store.containers.get(CONTAINER_ID)!, error: 'no such mount' });
    await life.refresh(CONTAINER_ID);
    expect(store.containers.get(CONTAINER_ID)?.error).toBe('no such mount');
    engine.containers.set(CONTAINER_ID, containerInspect());
    await life.refresh(CONTAINER_ID);
    expect(store.containers.get(CONTAINER_ID)).toMatchObject({ state: 'running', error: '' });
  });

  it('survives an inspect: values that the label does not name', async () => {
    const { life, store } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    const known = store.containers.get(CONTAINER_ID)!;
    const unified = { 'memory.high': '4096' };
    store.containers.put({ ...known, resources: { ...known.resources, unified } });
    await life.refresh(CONTAINER_ID);
    expect(store.containers.get(CONTAINER_ID)?.resources.unified).toEqual(unified);
  });
});

describe('limits that exist only in the kernel', () => {
  const limited = (state: Partial<EngineContainerInspect['State']> = {}) => {
    const inspect = containerInspect({ state: { Pid: 42, ...state } });
    const extra: ContainerExtra = {
      ...{ v: 1, sandboxId: SANDBOX_ID, metadata: { name: 'app', attempt: 0 }, mounts: [] },
      image: { image: 'busybox', userSpecified: '', annotations: {} },
      ...{ labelKeys: [], annotationKeys: [], shadowed: {} },
      kernel: { hugepages: {}, unified: { 'memory.high': '4096' } },
    };
    const Labels = { ...inspect.Config.Labels, [EXTRA_LABEL]: JSON.stringify(extra) };
    return { ...inspect, Config: { ...inspect.Config, Labels } };
  };
  const AGAIN = { StartedAt: '2023-11-14T22:14:00Z', FinishedAt: '2023-11-14T22:13:30Z' };
  let machine: V2Machine;
  beforeEach(() => {
    machine = new V2Machine(CONTAINER_ID, 42, ['memory.high']);
    machine.write('memory.high', 'max\n');
  });
  afterEach(() => machine.remove());

  function room(
    inspect: EngineContainerInspect,
    upkeep: Upkeep = new NodeUpkeep(silentLogger, machine.proc),
  ): SyncRoom {
    const made = syncRoom({}, { upkeep });
    made.engine.containers.set(CONTAINER_ID, inspect);
    return made;
  }
  const recorded = ({ store }: SyncRoom) => store.containers.get(CONTAINER_ID)?.resources.unified;

  it('are written by the daemon that finds them missing after another daemon was killed', async () => {
    const made = room(limited());
    await made.life.refresh(CONTAINER_ID);
    expect(machine.read('memory.high')).toBe('4096');
    expect(recorded(made)).toEqual({ 'memory.high': '4096' });
  });

  it("are not written by an observing daemon, which reports the kernel's values", async () => {
    const made = room(limited(), new NoUpkeep(machine.proc));
    await made.life.refresh(CONTAINER_ID);
    expect(machine.read('memory.high')).toBe('max\n');
    expect(recorded(made)).toEqual({ 'memory.high': 'max' });
  });

  it('stay as a later update set them', async () => {
    machine.write('memory.high', '8192\n');
    const made = room(limited());
    await made.life.refresh(CONTAINER_ID);
    expect(machine.read('memory.high')).toBe('8192\n');
    expect(recorded(made)).toEqual({ 'memory.high': '8192' });
  });

  it('are written again, as an update left them, when somebody else restarts the container', async () => {
    machine.write('memory.high', '8192\n');
    const made = room(limited());
    await made.life.refresh(CONTAINER_ID);
    // The container has a new cgroup.
    machine.write('memory.high', 'max\n');
    made.engine.containers.set(CONTAINER_ID, limited(AGAIN));
    await made.told(containerEvent('die', { exitCode: '0' }));
    await made.told(containerEvent('start', { timeNano: Date.parse(AGAIN.StartedAt) * 1e6 }));
    expect(machine.read('memory.high')).toBe('8192');
    expect(recorded(made)).toEqual({ 'memory.high': '8192' });
  });

  it('are not checked in a run that a handler started', async () => {
    const made = room(limited({ ...CREATED_STATE }));
    await made.life.refresh(CONTAINER_ID);
    made.engine.containers.set(CONTAINER_ID, limited());
    await made.life.withContainer(CONTAINER_ID, undefined, (held) => held.refresh(undefined, 'started'));
    await made.life.refresh(CONTAINER_ID);
    expect(machine.read('memory.high')).toBe('max\n');
  });
});

describe('limits', () => {
  it('are checked once for each start that dockbridge did not make', async () => {
    const upkeep = new NoUpkeep('/nowhere');
    const seenTo = jest.spyOn(upkeep, 'keepLimits');
    const { life, engine } = syncRoom({}, { upkeep });
    const start = (StartedAt: string): void =>
      void engine.containers.set(CONTAINER_ID, containerInspect({ state: { StartedAt } }));
    start('2023-11-14T22:13:20Z');
    await life.refresh(CONTAINER_ID);
    await life.refresh(CONTAINER_ID);
    expect(seenTo).toHaveBeenCalledTimes(1);
    start('2023-11-14T22:14:00Z');
    await life.withContainer(CONTAINER_ID, undefined, (held) => held.refresh(undefined, 'started'));
    expect(seenTo).toHaveBeenCalledTimes(1);
    start('2023-11-14T22:15:00Z');
    await life.refresh(CONTAINER_ID);
    expect(seenTo).toHaveBeenCalledTimes(2);
  });
});

describe('a SIGKILL', () => {
  const died = { ...EXITED_STATE, ExitCode: 137 };

  it.each([
    { desc: 'that has no explanation', state: died, named: false, oomKilled: false },
    { desc: 'that the Engine explains', state: { ...died, OOMKilled: true }, named: false, oomKilled: true },
    { desc: 'that only the kernel explains', state: died, named: true, oomKilled: true },
  ])('$desc counts as an out-of-memory kill: $oomKilled', async ({ state, named, oomKilled }) => {
    const { life, store, killedForMemory } = roomWith(containerInspect({ state }));
    if (named) killedForMemory.add(CONTAINER_ID);
    await life.refresh(CONTAINER_ID);
    expect(store.containers.get(CONTAINER_ID)?.oomKilled).toBe(oomKilled);
  });

  it('of one process does not count as the end of a container that ended by itself', async () => {
    const { life, store, killedForMemory } = roomWith(containerInspect({ state: EXITED_STATE }));
    killedForMemory.add(CONTAINER_ID);
    await life.refresh(CONTAINER_ID);
    expect(store.containers.get(CONTAINER_ID)?.oomKilled).toBe(false);
  });

  it('is also explained when an event reports the death', async () => {
    const { life, store, killedForMemory, told } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    killedForMemory.add(CONTAINER_ID);
    await told(containerEvent('die', { exitCode: '137' }));
    expect(store.containers.get(CONTAINER_ID)).toMatchObject({ state: 'exited', oomKilled: true });
  });
});

describe('the log', () => {
  it.each([
    {
      desc: 'created: only the output of a start that the Engine did not survive',
      state: CREATED_STATE,
      calls: [`salvage ${CONTAINER_ID}`],
    },
    { desc: 'running: followed', state: {}, calls: [`follow ${CONTAINER_ID}`] },
    {
      desc: 'exited: followed and drained',
      state: EXITED_STATE,
      calls: [`follow ${CONTAINER_ID}`, `drain ${CONTAINER_ID}`],
    },
    {
      desc: 'running again after an exit: followed',
      state: { FinishedAt: '2023-11-14T22:13:20.9Z' },
      calls: [`follow ${CONTAINER_ID}`],
    },
  ])('of a container that is $desc', async ({ state, calls }) => {
    const { life, logs } = roomWith(containerInspect({ state }));
    await life.refresh(CONTAINER_ID);
    expect(logs.calls).toEqual(calls);
  });

  it('is not drained again when nothing has changed', async () => {
    const { life, logs } = roomWith(containerInspect({ state: EXITED_STATE }));
    await life.refresh(CONTAINER_ID);
    await life.refresh(CONTAINER_ID);
    expect(logs.calls).toHaveLength(2);
  });

  it('is followed before the record says running', async () => {
    const { life, logs, store } = roomWith(containerInspect());
    const followed = gate();
    logs.onFollow = () => followed.promise;
    const refreshing = life.refresh(CONTAINER_ID);
    await until(() => logs.calls.length === 1);
    await settle();
    expect(store.containers.size).toBe(0);
    followed.resolve();
    await refreshing;
    expect(store.containers.get(CONTAINER_ID)?.state).toBe('running');
  });
});

describe('life', () => {
  it.each([
    { desc: 'a container', inspect: containerInspect({ name: 'n' }), kind: 'container' },
    { desc: 'a sandbox', inspect: { ...sandboxInspect(), Name: '/k8s_POD_w_s_u_0' }, kind: 'sandbox' },
  ])('finds $desc by name', async ({ inspect, kind }) => {
    const named = kind === 'container' ? { ...inspect, Name: '/k8s_app_w_s_u_0' } : inspect;
    const { life } = roomWith(named);
    expect(await life.discover(named.Name.slice(1))).toMatchObject({ exists: true, record: { kind } });
  });

  it.each([
    { desc: 'no container', name: 'other', exists: false },
    { desc: 'a foreign container', name: 'stranger', exists: true },
  ])('returns no record for $desc', async ({ name, exists }) => {
    const inspect = containerInspect({ name: 'stranger' });
    const { life } = roomWith({ ...inspect, Config: { Image: 'x', Labels: {} } });
    expect(await life.discover(name)).toEqual({ exists, record: undefined });
  });

  it('reports a sandbox that a killed daemon did not finish as not ready, until it is gone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'dockbridge-unfinished-'));
    try {
      const killed = await UnfinishedSandboxes.open(directory, silentLogger);
      killed.begin(SANDBOX_ID);
      killed.begin('f'.repeat(64));
      await until(() => readdirSync(directory).length === 2);
      await killed.finish('f'.repeat(64));
      // `finish` does not wait long for a slow disk, so the file may be removed later.
      await until(() => readdirSync(directory).length === 1);
      expect(readdirSync(directory)).toEqual([SANDBOX_ID]);
      const unfinished = await UnfinishedSandboxes.open(directory, silentLogger);
      const room = syncRoom({}, { unfinished });
      room.engine.containers.set(SANDBOX_ID, sandboxInspect());
      await room.resync.run(true, new AbortController().signal);
      expect(room.store.sandboxes.get(SANDBOX_ID)).toMatchObject({ state: 'running', networkReady: false });
      room.engine.containers.clear();
      await room.life.refresh(SANDBOX_ID);
      await until(() => readdirSync(directory).length === 0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('reports a sandbox that was never finished as not ready, whatever the Engine says', async () => {
    const { life, store } = roomWith(sandboxInspect());
    await life.refresh(SANDBOX_ID);
    expect(store.sandboxes.get(SANDBOX_ID)).toMatchObject({ state: 'running', networkReady: true });
    life.markNeverReady(SANDBOX_ID);
    expect(store.sandboxes.get(SANDBOX_ID)?.networkReady).toBe(false);
    await life.refresh(SANDBOX_ID);
    expect(store.sandboxes.get(SANDBOX_ID)).toMatchObject({ state: 'running', networkReady: false });
  });
});

describe('the right to change a record', () => {
  it('belongs to the holder of the container, because the store that all others have cannot change it', async () => {
    const { life, store } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    const readers: Store = store;
    const record = readers.containers.get(CONTAINER_ID)!;
    // @ts-expect-error a put without the lock does not compile.
    const put = readers.containers.put as WritableStore['containers']['put'];
    expect(put).toBeDefined();
    await life.withContainer(CONTAINER_ID, undefined, (held) => {
      held.put({ ...record, exitCode: 7 });
      return Promise.resolve();
    });
    expect(readers.containers.get(CONTAINER_ID)?.exitCode).toBe(7);
  });

  it('does not belong to a holder whose lock has ended', async () => {
    const { life, store } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    const held = await life.withContainer(CONTAINER_ID, undefined, (mine) => Promise.resolve(mine));
    expect(() => held.container).toThrow('the lock of container');
    expect(() => held.sandbox).toThrow('the lock of container');
    expect(() => held.put(store.containers.get(CONTAINER_ID)!)).toThrow('the lock of container');
    expect(await rejectionOf(held.forget())).toMatch(/^INTERNAL the lock of container/);
    expect(await rejectionOf(held.refresh())).toMatch(/^INTERNAL the lock of container/);
  });

  it('does not belong to the holder of another container', async () => {
    const { life, store } = roomWith(containerInspect(), sandboxInspect());
    await Promise.all([life.refresh(CONTAINER_ID), life.refresh(SANDBOX_ID)]);
    await life.withContainer(SANDBOX_ID, undefined, (held) => {
      expect(() => held.put(store.containers.get(CONTAINER_ID)!)).toThrow('does not cover');
      return Promise.resolve();
    });
  });
});

describe('the holder of a container', () => {
  it('releases a removed container only after its log position is gone', async () => {
    const { life, logs } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    const removed = gate();
    logs.onForget = () => removed.promise;
    let isReleased = false;
    const forgetting = life
      .withContainer(CONTAINER_ID, undefined, (held) => held.forget())
      .then(() => (isReleased = true));
    await until(() => logs.calls.includes(`forget ${CONTAINER_ID}`));
    await settle();
    expect(isReleased).toBe(false);
    removed.resolve();
    await forgetting;
  });

  it('does not bring back a removed sandbox or its checkpoint', async () => {
    const { life, store, checkpoints } = roomWith(sandboxInspect());
    await life.withContainer(SANDBOX_ID, undefined, (held) => held.forget());
    await life.refresh(SANDBOX_ID);
    expect([store.sandboxes.size, checkpoints.calls]).toEqual([0, [`remove ${SANDBOX_ID}`]]);
  });

  it('keeps a stop that begins during an inspect', async () => {
    const { life, engine, store } = roomWith(sandboxInspect());
    await life.refresh(SANDBOX_ID);
    const busy = gate();
    engine.gates.set('inspectContainer', () => busy.promise);
    const refreshing = life.refresh(SANDBOX_ID);
    const before = store.sandboxes.get(SANDBOX_ID)!;
    life.markStopping(SANDBOX_ID);
    busy.resolve();
    await refreshing;
    expect(store.sandboxes.get(SANDBOX_ID)?.stopping).toBe(true);
    await life.withContainer(SANDBOX_ID, undefined, (held) => {
      held.put(before);
      return Promise.resolve();
    });
    expect(store.sandboxes.get(SANDBOX_ID)?.stopping).toBe(true);
  });
});
