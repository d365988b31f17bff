import { NoUpkeep, type Upkeep } from '../../../src/containers/upkeep';
import { EngineError } from '../../../src/docker/errors';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { cancelled } from '../../../src/lib/errors';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { engineId } from '../support/records';
import {
  CONTAINER_ID,
  containerInspect,
  EXITED_STATE,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
} from '../sync/support/room';

describe('the search for a container by its name', () => {
  const NAME = containerInspect().Name.slice(1);

  it.each(['the look-up', 'the inspect'])('ends with its caller during %s', async (during) => {
    const { life, engine } = roomWith(containerInspect());
    const slow = gate();
    const call = `inspectContainer ${during === 'the look-up' ? NAME : CONTAINER_ID}`;
    engine.gates.set(call, () => slow.promise);
    const caller = sharedAbortController();
    const looking = rejectionOf(life.discover(NAME, caller.signal));
    await until(() => engine.calls.includes(call));
    caller.abort(cancelled('the client has gone'));
    expect(await looking).toBe('CANCELLED the client has gone');
    slow.resolve();
  });

  it('fails when the Engine fails, because the container may exist', async () => {
    const { life, engine } = roomWith(containerInspect());
    engine.gates.set('inspectContainer', () => Promise.reject(new EngineError('UNKNOWN', 500, 'broken')));
    expect(await rejectionOf(life.discover(NAME))).toBe('UNKNOWN broken');
  });

  it('reports a container as missing when it was removed meanwhile', async () => {
    const { life, engine } = roomWith(containerInspect());
    engine.gates.set(`inspectContainer ${CONTAINER_ID}`, () => {
      engine.containers.clear();
      return Promise.resolve();
    });
    expect(await life.discover(NAME)).toEqual({ exists: false, record: undefined });
  });
});

describe('a mark on a sandbox', () => {
  it('creates no record if there is none', () => {
    const { life, store } = roomWith();
    life.markStopping(SANDBOX_ID);
    life.markNeverReady(SANDBOX_ID);
    expect([store.sandboxes.size, life.unfinished.has(SANDBOX_ID)]).toEqual([0, true]);
  });

  it('changes the record only once', async () => {
    const { life, store } = roomWith(sandboxInspect());
    await life.refresh(SANDBOX_ID);
    let changes = 0;
    store.sandboxes.subscribe(() => changes++);
    life.markStopping(SANDBOX_ID);
    life.markStopping(SANDBOX_ID);
    expect([changes, store.sandboxes.get(SANDBOX_ID)?.stopping]).toEqual([1, true]);
  });

  it('sets its own field and leaves the rest of the record as it is', async () => {
    const { life, store } = roomWith(sandboxInspect());
    await life.refresh(SANDBOX_ID);
    const before = store.sandboxes.get(SANDBOX_ID)!;
    expect([before.stopping, before.networkReady]).toEqual([false, true]);
    life.markStopping(SANDBOX_ID);
    expect(store.sandboxes.get(SANDBOX_ID)).toEqual({ ...before, stopping: true });
    life.markNeverReady(SANDBOX_ID);
    expect(store.sandboxes.get(SANDBOX_ID)).toEqual({ ...before, stopping: true, networkReady: false });
  });

  it('applies only to that sandbox, and others stay ready', async () => {
    const other = engineId('a2');
    const { life, store } = roomWith(sandboxInspect(), sandboxInspect({ id: other }));
    life.markNeverReady(SANDBOX_ID);
    await Promise.all([life.refresh(SANDBOX_ID), life.refresh(other)]);
    expect([SANDBOX_ID, other].map((id) => store.sandboxes.get(id)?.networkReady)).toEqual([false, true]);
  });
});

it('life reports whose log is behind, until the container is gone', async () => {
  const { life, logs, engine } = roomWith(containerInspect({ state: EXITED_STATE }));
  logs.onDrain = () => Promise.reject(new Error('disk full'));
  await life.refresh(CONTAINER_ID);
  expect([life.isLogBehind(CONTAINER_ID), life.isLogBehind(SANDBOX_ID)]).toEqual([true, false]);
  expect([...life.logsBehind]).toEqual([CONTAINER_ID]);
  engine.containers.clear();
  await life.refresh(CONTAINER_ID);
  expect([life.isLogBehind(CONTAINER_ID), [...life.logsBehind]]).toEqual([false, []]);
});

it('life trusts an Engine that lost its containers and has them again, after a new connection', async () => {
  const foreign = engineId('f0');
  const nobodys = { ...containerInspect({ id: foreign }), Config: { Image: 'db', Labels: null } };
  const { life, store } = roomWith(containerInspect(), sandboxInspect(), nobodys);
  const refreshAll = () => Promise.all([CONTAINER_ID, SANDBOX_ID, foreign].map((id) => life.refresh(id)));
  const sizes = () => [store.containers, store.sandboxes, store.foreign].map(({ size }) => size);
  await refreshAll();
  expect(sizes()).toEqual([1, 1, 1]);
  store.containers.delete(CONTAINER_ID);
  store.sandboxes.delete(SANDBOX_ID);
  store.foreign.delete(foreign);
  await refreshAll();
  expect(sizes()).toEqual([0, 0, 0]);
  life.forgetRemovals();
  await refreshAll();
  expect(sizes()).toEqual([1, 1, 1]);
});

it('a caller that settles an inspect gets the new record, or none', async () => {
  const nobodys = { ...containerInspect({ id: engineId('f0') }), Config: { Image: 'db', Labels: null } };
  const { life, store } = roomWith(containerInspect(), sandboxInspect(), nobodys);
  const settled = (id: string) =>
    life.withContainer(id, undefined, async (held) => held.settle(await held.inspect()));
  expect(await settled(CONTAINER_ID)).toEqual(store.containers.get(CONTAINER_ID));
  expect(await settled(SANDBOX_ID)).toEqual(store.sandboxes.get(SANDBOX_ID));
  expect(await settled(nobodys.Id)).toBeUndefined();
  expect([store.containers.size, store.sandboxes.size, store.foreign.size]).toEqual([1, 1, 1]);
});

it('the watch over limits can hold a container while it looks, and refresh its record', async () => {
  const upkeep: Upkeep = new NoUpkeep();
  const holds: Parameters<Upkeep['watchLimits']>[1][] = [];
  upkeep.watchLimits = (...[, hold]: Parameters<Upkeep['watchLimits']>) => void holds.push(hold);
  const { life, store, engine } = syncRoom({}, { upkeep });
  engine.containers.set(CONTAINER_ID, containerInspect());
  life.watchLimits();
  const looked = gate();
  const looking = holds[0]!(CONTAINER_ID, async (refresh) => {
    await refresh();
    await looked.promise;
  });
  await until(() => store.containers.size === 1);
  let isFree = false;
  const next = life.withContainer(CONTAINER_ID, undefined, () => Promise.resolve((isFree = true)));
  await settle();
  expect(isFree).toBe(false);
  looked.resolve();
  await Promise.all([looking, next]);
  // Where the files of containers cannot be reached, there is nothing to watch.
  syncRoom().life.watchLimits();
});

describe('a container that is gone from the Engine', () => {
  it('is forgotten even if its log position cannot be removed, with a warning', async () => {
    const { life, store, logs, complaints } = roomWith(containerInspect());
    await life.refresh(CONTAINER_ID);
    logs.onForget = () => Promise.reject(new Error('read-only file system'));
    await life.withContainer(CONTAINER_ID, undefined, (held) => held.forget());
    expect([store.containers.size, complaints]).toEqual([
      0,
      ['Cannot remove the log position of a container: read-only file system'],
    ]);
  });

  it('has no log position to remove when it was unknown', async () => {
    const { life, logs } = roomWith();
    await life.refresh(CONTAINER_ID);
    expect(logs.calls).toEqual([]);
  });
});
