import { EngineError } from '../../../src/docker/errors';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { NoClaim } from '../../../src/sync/engine-claim';
import { inspectFromSummary } from '../../../src/translate/container/container-record';
import { gate, settle, until } from '../support/async';
import { engineId } from '../support/records';
import {
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  NETWORK,
  ownContainerInspect,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
} from '../sync/support/room';

const { signal } = sharedAbortController();
const OTHER_ID = engineId('c2');

/**
 * Tests the entries of `store.listed`, which stay there until each container of the first list was
 * inspected.
 */
describe('containers of the first list', () => {
  it('stay in it until they have been inspected, one by one', async () => {
    const { resync, engine, store } = roomWith(sandboxInspect(), containerInspect());
    const slow = gate();
    engine.gates.set(`inspectContainer ${SANDBOX_ID}`, () => slow.promise);
    const running = resync.run(true, signal);
    await until(() => store.containers.size === 1);
    await settle();
    expect([store.listed.has(CONTAINER_ID), store.listed.has(SANDBOX_ID)]).toEqual([false, true]);
    slow.resolve();
    await running;
  });

  it('leave it when their inspect has failed, although nothing else is known about them', async () => {
    const { resync, engine, store } = roomWith(sandboxInspect(), containerInspect());
    const slow = gate();
    engine.gates.set(`inspectContainer ${SANDBOX_ID}`, () => slow.promise);
    engine.gates.set(`inspectContainer ${CONTAINER_ID}`, () =>
      Promise.reject(new EngineError('UNKNOWN', 500, 'broken')),
    );
    const running = resync.run(true, signal);
    await until(() => store.containers.size === 1);
    await settle();
    expect([store.listed.has(CONTAINER_ID), store.listed.has(SANDBOX_ID)]).toEqual([false, true]);
    slow.resolve();
    await running;
  });

  it('leave it only when their record has all the data of the list, so that a pod looks ready', async () => {
    const network = { ...NETWORK, stateOf: () => Promise.resolve({ ready: false, ips: [] }) };
    const { resync, engine, store } = syncRoom({}, { network });
    engine.containers.set(SANDBOX_ID, sandboxInspect());
    engine.gates.set('inspectContainer', () => Promise.reject(new EngineError('UNKNOWN', 500, 'broken')));
    const seen: unknown[] = [];
    let wasListed = false;
    store.listed.subscribe(() => {
      const isListed = store.listed.has(SANDBOX_ID);
      if (wasListed && !isListed) seen.push(store.sandboxes.get(SANDBOX_ID));
      wasListed = isListed;
    });
    await resync.run(true, signal);
    expect(seen).toMatchObject([{ state: 'running', networkReady: true, ips: ['10.0.0.9'] }]);
  });

  it('leave it with the first inspect, but not before the list has been fully used', async () => {
    const { life, store, engine } = roomWith(containerInspect());
    const put = (): void =>
      store.listed.replace([
        { id: CONTAINER_ID, kind: 'container', sandboxId: SANDBOX_ID, record: undefined },
      ]);
    put();
    const [summary] = await engine.client.listContainers({});
    await life.withContainer(CONTAINER_ID, undefined, (held) =>
      held.settle(inspectFromSummary(summary!), 'listed'),
    );
    expect(store.listed.has(CONTAINER_ID)).toBe(true);
    await life.refresh(CONTAINER_ID);
    expect(store.listed.has(CONTAINER_ID)).toBe(false);
    put();
    engine.containers.clear();
    await life.refresh(CONTAINER_ID);
    expect(store.listed.has(CONTAINER_ID)).toBe(false);
  });

  it('are not inspected again when an event has already led to their inspect', async () => {
    const ids = Array.from({ length: 60 }, (_, at) => engineId(`f${at}x`));
    const { resync, engine, told, store } = roomWith(...ids.map((id) => containerInspect({ id })));
    const last = ids.at(-1)!;
    const slow = gate();
    for (const id of ids.slice(0, -1)) engine.gates.set(`inspectContainer ${id}`, () => slow.promise);
    const running = resync.run(true, signal);
    await until(() => engine.count('inspectContainer') === 40);
    await told(containerEvent('start', { id: last }));
    expect(store.containers.get(last)?.state).toBe('running');
    slow.resolve();
    await running;
    expect(engine.calls.filter((call) => call === `inspectContainer ${last}`)).toHaveLength(1);
    expect(store.containers.size).toBe(60);
  });

  it('are inspected before the others when somebody waits for them', async () => {
    const ids = Array.from({ length: 60 }, (_, at) => engineId(`f${at}x`));
    const { resync, engine, store } = roomWith(...ids.map((id) => containerInspect({ id })));
    const slow = gate();
    engine.gates.set('inspectContainer', () => slow.promise);
    const running = resync.run(true, signal);
    await until(() => engine.count('inspectContainer') === 40);
    const wanted = ids.at(-1)!;
    store.listed.want(wanted);
    slow.resolve();
    await running;
    const inspected = engine.calls.filter((call) => call.startsWith('inspect'));
    expect(inspected[40]).toBe(`inspectContainer ${wanted}`);
    expect(inspected).toHaveLength(60);
  });

  it('are all known in the end, and events are remembered for no other list', async () => {
    const { resync, store } = roomWith(containerInspect());
    await resync.run(true, signal);
    expect(store.listed.size).toBe(0);
    const record = store.containers.get(CONTAINER_ID)!;
    store.listed.distrust(CONTAINER_ID);
    store.listed.replace([{ id: CONTAINER_ID, kind: 'container', sandboxId: SANDBOX_ID, record }]);
    expect([...store.listed.records()]).toEqual([record]);
  });

  it('can be listed by their own label, and are then inspected last', async () => {
    const { resync, engine } = roomWith(
      ownContainerInspect(),
      sandboxInspect(),
      containerInspect({ id: OTHER_ID }),
    );
    await resync.run(true, signal);
    expect(engine.calls.filter((call) => call.startsWith('inspect'))).toEqual(
      [OTHER_ID, SANDBOX_ID, CONTAINER_ID].map((id) => `inspectContainer ${id}`),
    );
  });
});

it('resync reports the first list once, and all containers with each list', async () => {
  const seen: string[] = [];
  const room = syncRoom({}, {}, new NoClaim(), {
    onFirstList: () => seen.push('first'),
    onList: (all) => seen.push(`${all.length} listed, ${room.store.containers.size} known`),
  });
  room.engine.containers.set(CONTAINER_ID, containerInspect());
  await room.resync.run(true, signal);
  room.engine.containers.set(OTHER_ID, containerInspect({ id: OTHER_ID }));
  await room.resync.run(false, signal);
  expect(seen).toEqual(['first', '1 listed, 1 known', '2 listed, 2 known']);
});

describe('old log positions', () => {
  it('are looked for only after a reconnect', async () => {
    const { resync, logs } = roomWith(containerInspect());
    const tidied = (): number => logs.calls.filter((call) => call.startsWith('retain')).length;
    await resync.run(true, signal);
    expect(tidied()).toBe(1);
    await resync.run(false, signal);
    expect(tidied()).toBe(1);
    await resync.run(true, signal);
    expect(tidied()).toBe(2);
  });
});
