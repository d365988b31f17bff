import {
  afterStart,
  ContainerSessions,
  removeContainersOf,
  removeFromEngine,
  removeSandboxFromEngine,
  StartFailure,
  startInEngine,
  stopAndSettle,
  stopContainersOf,
  Teardowns,
  type ContainerServices,
} from '../../../src/containers/engine-ops';
import type { DockerClient } from '../../../src/docker/client';
import { EngineError } from '../../../src/docker/errors';
import { sharedAbortController } from '../../../src/lib/async/deadline';
import { cancelled } from '../../../src/lib/errors';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { engineId } from '../support/records';
import {
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  CREATED_STATE,
  EXITED_STATE,
  roomWith,
  SANDBOX_ID,
  sandboxInspect,
} from '../sync/support/room';

const { signal } = sharedAbortController();
const OTHER_ID = engineId('c2');

/** Returns a setup that runs and records stops and removals. */
function roomOf(...inspects: Parameters<typeof roomWith>) {
  const room = roomWith(...inspects);
  const calls: string[] = [];
  const { engine, store, life, told } = room;
  let onStop = async (id: string): Promise<void> => {
    const inspect = engine.containers.get(id);
    if (inspect === undefined) throw new EngineError('NOT_FOUND', 404, 'no such container');
    engine.containers.set(id, { ...inspect, State: { ...inspect.State, ...EXITED_STATE } });
    await told(containerEvent('die', { id, exitCode: '3' }));
  };
  const docker: DockerClient = Object.assign(Object.create(engine.client) as DockerClient, {
    stopContainer: (id: string, grace: number) => {
      calls.push(`stop ${id} ${grace}`);
      return onStop(id);
    },
    killContainer: (id: string) => {
      calls.push(`kill ${id}`);
      return onStop(id);
    },
    removeContainer: (id: string) => {
      calls.push(`remove ${id}`);
      engine.containers.delete(id);
      return Promise.resolve();
    },
  });
  const sessions = new ContainerSessions();
  const services = {
    ...{ docker, store, life, sessions, teardowns: new Teardowns(store) },
  } as unknown as ContainerServices;
  return {
    ...{ ...room, services, sessions, calls },
    onStop: (work: (id: string) => Promise<void>) => void (onStop = work),
  };
}

describe('a stop', () => {
  it('ends when the event reports it, without an inspect of its own', async () => {
    const { services, life, store, engine } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    const before = engine.count('inspectContainer');
    await stopAndSettle(services, CONTAINER_ID, 7, signal);
    expect(store.containers.get(CONTAINER_ID)?.state).toBe('exited');
    // The only inspect is the one for the event.
    expect(engine.count('inspectContainer') - before).toBe(1);
  });

  it('asks the Engine when the event does not come', async () => {
    const { services, life, store, engine, onStop } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    onStop((id) => {
      engine.containers.set(id, containerInspect({ state: EXITED_STATE }));
      return Promise.resolve();
    });
    await stopAndSettle(services, CONTAINER_ID, 7, signal);
    expect(store.containers.get(CONTAINER_ID)).toMatchObject({ state: 'exited', exitCode: 3 });
  });

  it.each([
    { desc: 'without a grace period is a SIGKILL', grace: 0, call: `kill ${CONTAINER_ID}` },
    { desc: 'with a grace period passes it to the Engine', grace: 7, call: `stop ${CONTAINER_ID} 7` },
  ])('$desc, and the sessions of the container are drained', async ({ grace, call }) => {
    const { services, sessions, life, store, calls } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    const { hurried } = sessions.join(CONTAINER_ID);
    await stopAndSettle(services, CONTAINER_ID, grace, signal);
    expect(calls).toEqual([call]);
    expect([hurried.aborted, store.containers.get(CONTAINER_ID)?.state]).toEqual([true, 'exited']);
  });

  it('fails if the container runs even after the answer of the Engine', async () => {
    const { services, life, onStop } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    onStop(() => Promise.resolve());
    expect(await rejectionOf(stopAndSettle(services, CONTAINER_ID, 0, signal))).toBe(
      `UNAVAILABLE container ${CONTAINER_ID} still runs after Docker Engine has stopped it`,
    );
  });

  it('succeeds if the Engine reports a state that dockbridge does not know, because the container may have ended', async () => {
    const { services, life, store, onStop } = roomOf(containerInspect({ state: { Status: 'invented' } }));
    await life.refresh(CONTAINER_ID);
    onStop(() => Promise.resolve());
    await stopAndSettle(services, CONTAINER_ID, 0, signal);
    expect(store.containers.get(CONTAINER_ID)?.state).toBe('unknown');
  });

  it('of a container that has vanished ends with its record, and waits for no event', async () => {
    const { services, life, store, engine } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    engine.containers.clear();
    const waits = jest.spyOn(store.containers, 'waitFor');
    await stopAndSettle(services, CONTAINER_ID, 7, signal);
    expect([store.containers.size, waits.mock.calls.length]).toEqual([0, 0]);
  });

  it('ends when its caller gives up before the event comes', async () => {
    const { services, life, onStop, engine } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    const before = engine.count('inspectContainer');
    const caller = sharedAbortController();
    onStop(() => {
      setImmediate(() => caller.abort(cancelled('the client has gone')));
      return Promise.resolve();
    });
    expect(await rejectionOf(stopAndSettle(services, CONTAINER_ID, 7, caller.signal))).toBe(
      'CANCELLED the client has gone',
    );
    expect(engine.count('inspectContainer')).toBe(before);
  });

  it('of a whole pod kills what runs, and waits for containers that are just being started', async () => {
    const ended = engineId('c3');
    const { services, life, store, engine, calls } = roomOf(
      sandboxInspect(),
      containerInspect(),
      containerInspect({ id: OTHER_ID, state: CREATED_STATE }),
      containerInspect({ id: ended, state: EXITED_STATE }),
    );
    for (const id of [SANDBOX_ID, CONTAINER_ID, OTHER_ID, ended]) await life.refresh(id);
    const started = gate();
    const starting = life.withContainer(OTHER_ID, undefined, async (held) => {
      await started.promise;
      engine.containers.set(OTHER_ID, containerInspect({ id: OTHER_ID }));
      await held.refresh(undefined, 'started');
    });
    const stopping = stopContainersOf(services, SANDBOX_ID, signal);
    await until(() => calls.length === 1);
    await settle();
    expect(calls).toEqual([`kill ${CONTAINER_ID}`]);
    started.resolve();
    await Promise.all([starting, stopping]);
    expect(calls).toEqual([`kill ${CONTAINER_ID}`, `kill ${OTHER_ID}`]);
    expect([...store.containers.values()].map(({ state }) => state)).toEqual(['exited', 'exited', 'exited']);
  });
});

describe('a wait for a start', () => {
  it('returns at once for a container that does not exist or has been started', async () => {
    const { services, life, store } = roomOf(containerInspect());
    await life.refresh(CONTAINER_ID);
    const busy = gate();
    const held = life.withContainer(CONTAINER_ID, undefined, () => busy.promise);
    expect(await afterStart(services, undefined, signal)).toBeUndefined();
    const record = store.containers.get(CONTAINER_ID);
    expect(await afterStart(services, record, signal)).toBe(record);
    busy.resolve();
    await held;
  });

  it('ends with its caller', async () => {
    const { services, life, store } = roomOf(containerInspect({ state: CREATED_STATE }));
    await life.refresh(CONTAINER_ID);
    const busy = gate();
    const held = life.withContainer(CONTAINER_ID, undefined, () => busy.promise);
    const caller = sharedAbortController();
    const waiting = rejectionOf(afterStart(services, store.containers.get(CONTAINER_ID), caller.signal));
    caller.abort(cancelled('the client has gone'));
    expect(await waiting).toBe('CANCELLED the client has gone');
    busy.resolve();
    await held;
  });
});

describe('a removal', () => {
  it.each(['container', 'sandbox'])('of a %s leaves no record, and drains its sessions', async (kind) => {
    const { services, sessions, life, store, calls } = roomOf(sandboxInspect(), containerInspect());
    const id = kind === 'sandbox' ? SANDBOX_ID : CONTAINER_ID;
    await Promise.all([life.refresh(SANDBOX_ID), life.refresh(CONTAINER_ID)]);
    const { hurried } = sessions.join(id);
    await (kind === 'sandbox' ? removeSandboxFromEngine : removeFromEngine)(services, id, signal);
    expect([calls, hurried.aborted]).toEqual([[`remove ${id}`], true]);
    expect([store.sandboxes.size, store.containers.size]).toEqual(kind === 'sandbox' ? [0, 1] : [1, 0]);
  });

  it('of the containers of a pod leaves those of other pods', async () => {
    const foreign = containerInspect({ id: OTHER_ID });
    foreign.Config.Labels!['io.kubernetes.sandbox.id'] = engineId('a2');
    const { services, life, store, calls } = roomOf(containerInspect(), foreign);
    await Promise.all([life.refresh(OTHER_ID), life.refresh(CONTAINER_ID)]);
    await removeContainersOf(services, SANDBOX_ID, signal);
    expect([calls, [...store.containers.values()].map(({ id }) => id)]).toEqual([
      [`remove ${CONTAINER_ID}`],
      [OTHER_ID],
    ]);
  });
});

describe('a session', () => {
  it('that has left is no longer drained, while the others are', async () => {
    const sessions = new ContainerSessions();
    const [first, second] = [sessions.join('c1'), sessions.join('c1')];
    first.leave();
    await sessions.hurryDuring('c1', () => Promise.resolve());
    expect([first.hurried.aborted, second.hurried.aborted]).toEqual([false, true]);
  });

  it('that leaves twice does not remove a later one', async () => {
    const sessions = new ContainerSessions();
    const early = sessions.join('c1');
    early.leave();
    const late = sessions.join('c1');
    early.leave();
    await sessions.hurryDuring('c1', () => Promise.resolve());
    expect(late.hurried.aborted).toBe(true);
  });

  it('can be drained alone', () => {
    const sessions = new ContainerSessions();
    const [first, second] = [sessions.join('c1'), sessions.join('c1')];
    first.hurry();
    expect([first.hurried.aborted, second.hurried.aborted]).toEqual([true, false]);
  });
});

it("a container that cannot start causes a StartFailure with the Engine's words", async () => {
  const docker = {
    startContainer: () => Promise.reject(new EngineError('UNKNOWN', 400, 'invalid mount config')),
  };
  const failure: unknown = await startInEngine(docker as never, 'c1', signal).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(StartFailure);
  expect(failure).toMatchObject({
    name: 'StartFailure',
    code: 'FAILED_PRECONDITION',
    engineText: 'invalid mount config',
  });
});
