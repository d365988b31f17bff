import { getEventListeners } from 'node:events';
import type { LinkTimes } from '../../../src/sync/link-times';
import { gate, settle, until } from '../support/async';
import { setClockBack } from '../support/clock';
import { rejectionOf } from '../support/errors';
import {
  connected,
  CONTAINER_ID,
  containerEvent,
  containerInspect,
  EXITED_STATE,
  imageEvent,
  SANDBOX_ID,
  sandboxInspect,
  syncRoom,
  type SyncRoom,
} from './support/room';

/** A test about the time limit of an answer sets a shorter one. */
const QUICK: Partial<LinkTimes> = { reconnect: 2, writePatience: 30, probeTimeout: 60_000 };
const rooms: SyncRoom[] = [];

function room(times: Partial<LinkTimes> = {}): SyncRoom {
  const made = syncRoom({ ...QUICK, ...times });
  rooms.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(rooms.splice(0).map(({ link }) => link.stop()));
});

const isDown = ({ link }: SyncRoom) => until(() => !link.state.ready, 'the end of the link');
const isReady = ({ link }: SyncRoom) => until(() => link.state.ready, 'the link');

describe('ending', () => {
  it('reports the reason, keeps the records, ignores later events, and refuses writes but no reads', async () => {
    const made = room();
    made.engine.containers.set(CONTAINER_ID, containerInspect());
    await connected(made);
    await made.link.end('HandedOver', 'the node was handed over');
    expect(made.link.state).toEqual({
      ...{ ready: false, reason: 'the node was handed over', word: 'HandedOver' },
    });
    made.engine.emit(containerEvent('die', { exitCode: '3' }));
    await settle();
    expect(made.store.containers.get(CONTAINER_ID)?.state).toBe('running');
    expect(await rejectionOf(made.link.whenReady())).toBe('UNAVAILABLE the node was handed over');
    await made.link.whenSyncedOnce();
  });
});

describe('the steps of the loop', () => {
  it('continue while the Engine answers, while it is down, and until the link is ended', async () => {
    const made = room({ heartbeat: 2 });
    const goesOn = async (): Promise<void> => {
      const before = made.link.steps;
      await until(() => made.link.steps !== before);
      expect(made.link.steps).not.toBe('ended');
    };
    await connected(made);
    await goesOn();
    made.engine.stop();
    await isDown(made);
    await goesOn();
    await goesOn();
    await made.link.end('HandedOver', 'the node was handed over');
    expect(made.link.steps).toBe('ended');
  });
});

describe('an Engine that reloads its daemon.json', () => {
  const reloaded = { Type: 'daemon', Action: 'reload', Actor: { ID: 'e', Attributes: {} }, timeNano: 1 };
  const knows = ({ store }: SyncRoom, name: string): boolean =>
    store.engine?.runtimes.includes(name) ?? false;
  const withRuntimes = ({ engine }: SyncRoom, ...names: string[]): void => {
    engine.facts = { ...engine.facts, Runtimes: Object.fromEntries(names.map((name) => [name, {}])) };
  };

  it('is asked for its facts again', async () => {
    const made = room();
    await connected(made);
    withRuntimes(made, 'runc', 'kata');
    made.engine.emit(reloaded);
    await until(() => knows(made, 'kata'));
    withRuntimes(made, 'runc');
    made.engine.emit(reloaded);
    await until(() => !knows(made, 'kata'));
  });

  it('is asked only once more for all waiting callers, after a pending answer', async () => {
    const made = room();
    await connected(made);
    const before = made.engine.count('info');
    const info = gate();
    made.engine.gates.set('info', () => info.promise);
    made.engine.emit(reloaded);
    await until(() => made.engine.count('info') === before + 1);
    const { signal } = new AbortController();
    const doubts = [1, 2, 3].map(() => made.link.readFactsAgain(signal));
    withRuntimes(made, 'runc', 'kata');
    info.resolve();
    await Promise.all(doubts);
    expect(knows(made, 'kata')).toBe(true);
    expect(made.engine.count('info')).toBe(before + 2);
  });

  it('delays nobody forever if it does not answer, and its earlier facts stay in use', async () => {
    const made = room({ probeTimeout: 200 });
    await connected(made);
    made.engine.gates.set('info', () => gate().promise);
    made.engine.emit(reloaded);
    expect(await rejectionOf(made.link.readFactsAgain(new AbortController().signal))).toMatch(
      /^DEADLINE_EXCEEDED/,
    );
    expect(made.link.state.ready).toBe(true);
    expect(made.store.engine?.engineVersion).toBe('20.10.24');
  });
});

describe('a link that connects', () => {
  it('is not ready before the start', () => {
    expect(room().link.state).toEqual({ ready: false, reason: 'Docker Engine has not answered yet' });
  });

  it('reads facts, subscribes before it lists, and is then ready', async () => {
    const made = room();
    made.engine.containers.set(CONTAINER_ID, containerInspect());
    await connected(made);
    const order = made.engine.calls.filter((call) => !call.startsWith('inspect'));
    // The facts are requested at the same time, so that the times of a slow Engine do not add up.
    expect(order.slice(0, 3).sort()).toEqual(['events', 'info', 'version']);
    expect(order.slice(3).sort()).toEqual(['listContainers', 'listImages']);
    expect(made.store.containers.get(CONTAINER_ID)?.state).toBe('running');
    expect(made.store.engine).toEqual({
      id: 'ENGINE',
      engineVersion: '20.10.24',
      apiVersion: '1.41',
      platform: 'linux/amd64',
      rootDir: '/var/lib/docker',
      imageDirectory: '/var/lib/docker',
      cgroupDriver: 'systemd',
      runtimes: ['kata', 'runc'],
      defaultRuntime: 'runc',
      recursiveReadOnlyRuntimes: [],
      cdi: false,
      securityOptions: ['name=apparmor', 'name=seccomp,profile=default'],
      storageDriver: 'overlay2',
      containerdStore: false,
      operatingSystem: 'Debian GNU/Linux 12 (bookworm)',
      kernelVersion: '6.1.0',
      experimental: false,
      cgroupVersion: '1',
    });
  });

  it('lists nothing before the subscription is open', async () => {
    const made = room();
    const subscribed = gate();
    made.engine.gates.set('events', () => subscribed.promise);
    made.link.start();
    await until(() => made.engine.count('events') === 1);
    await settle();
    expect([made.engine.count('listContainers'), made.engine.count('listImages')]).toEqual([0, 0]);
    subscribed.resolve();
    await isReady(made);
  });

  it('does not miss an event during the first list', async () => {
    const made = room();
    made.engine.containers.set(CONTAINER_ID, containerInspect());
    const inspected = gate();
    made.engine.gates.set(`inspectContainer ${CONTAINER_ID}`, () => inspected.promise);
    made.link.start();
    await until(() => made.engine.count('inspectContainer') === 1);
    made.engine.emit(containerEvent('die', { exitCode: '9' }));
    await settle();
    inspected.resolve();
    await until(() => made.store.containers.get(CONTAINER_ID)?.state === 'exited');
    expect(made.store.containers.get(CONTAINER_ID)?.exitCode).toBe(9);
  });

  it.each(['version', 'info', 'events', 'listContainers'])(
    'tries again when %s fails at first',
    async (method) => {
      const made = room();
      let failures = 2;
      made.engine.gates.set(method, () =>
        failures-- > 0 ? Promise.reject(new Error(`no ${method}`)) : Promise.resolve(),
      );
      made.link.start();
      await isReady(made);
      // The reason is logged once, not once per attempt.
      expect(made.complaints).toEqual([`Docker Engine is not available: no ${method}`]);
      expect(made.engine.subscribers).toBe(1);
    },
  );

  it.each(['version', 'events'])('treats an Engine that hangs (%s) as down', async (method) => {
    const made = room({ probeTimeout: 10 });
    const hanging = gate();
    made.engine.gates.set(method, () => hanging.promise);
    made.link.start();
    await until(() => made.complaints.length > 0);
    expect(made.link.state).toMatchObject({ reason: expect.stringContaining('longer than 10 ms') as string });
    made.engine.gates.clear();
    await isReady(made);
  });
});

describe('a ready link', () => {
  it('applies events to the store', async () => {
    const made = room();
    made.engine.containers.set(CONTAINER_ID, containerInspect());
    await connected(made);
    const calls = made.engine.calls.length;
    made.engine.emit(containerEvent('die', { exitCode: '4' }));
    await until(() => made.store.containers.get(CONTAINER_ID)?.exitCode === 4);
    // The end of a container costs one call, its inspect (ADR 0005).
    expect(made.engine.calls.slice(calls)).toEqual([`inspectContainer ${CONTAINER_ID}`]);
    made.engine.emit(imageEvent);
    await until(() => made.engine.count('listImages') === 2);
    made.engine.emit({ ...imageEvent, Type: 'network' });
    await settle();
    expect(made.engine.count('listImages')).toBe(2);
  });

  it('makes no calls but pings when it is idle', async () => {
    const made = await connected(room({ heartbeat: 3 }));
    const calls = made.engine.calls.length;
    await until(() => made.engine.count('ping') >= 3);
    expect(new Set(made.engine.calls.slice(calls))).toEqual(new Set(['ping']));
  });

  it('compares the lists from time to time, and corrects what events did not report', async () => {
    const made = room({ heartbeat: 3, resync: 5 });
    made.engine.containers.set(CONTAINER_ID, containerInspect());
    await connected(made);
    made.engine.containers.set(CONTAINER_ID, containerInspect({ state: EXITED_STATE }));
    await until(() => made.store.containers.get(CONTAINER_ID)?.state === 'exited');
  });

  it('continues to compare when the clock is set back by hours', async () => {
    const made = room({ heartbeat: 3, resync: 5 });
    await connected(made);
    const clock = setClockBack();
    try {
      const lists = made.engine.count('listContainers');
      await until(() => made.engine.count('listContainers') > lists + 2, 'the next comparisons');
    } finally {
      clock.restore();
    }
  });
});

describe('the loss of the connection', () => {
  it.each<{ desc: string; lose: (made: SyncRoom) => void; reason: RegExp; probeTimeout?: number }>([
    {
      desc: 'the stream ends',
      lose: ({ engine }) => engine.stop(),
      reason: /ended the event stream|ECONNREFUSED/,
    },
    {
      desc: 'a ping fails',
      lose: ({ engine }) => void engine.gates.set('ping', () => Promise.reject(new Error('no ping'))),
      reason: /no ping|has not|ECONNREFUSED/,
    },
    {
      desc: 'a ping hangs',
      lose: ({ engine }) => void engine.gates.set('ping', () => gate().promise),
      reason: /longer than 200 ms/,
      probeTimeout: 200,
    },
  ])(
    'when $desc makes the link not ready until the Engine is back',
    async ({ lose, reason, probeTimeout = 60_000 }) => {
      const made = await connected(room({ heartbeat: 5, reconnect: 50, probeTimeout }));
      lose(made);
      await isDown(made);
      expect(made.link.state).toMatchObject({ reason: expect.stringMatching(reason) as string });
      made.engine.gates.clear();
      made.engine.start();
      await isReady(made);
      expect(made.engine.subscribers).toBe(1);
    },
  );

  it('does not follow from one ping that fails or hangs, because the second ping decides', async () => {
    const made = await connected(room({ heartbeat: 3, probeTimeout: 20 }));
    let pings = 0;
    made.engine.gates.set('ping', () => {
      pings++;
      if (pings % 2 === 0) return Promise.resolve();
      return pings % 4 === 1 ? Promise.reject(new Error('late')) : gate().promise;
    });
    await until(() => pings >= 8, 'four heartbeats');
    expect([made.link.state.ready, made.complaints, made.engine.count('events')]).toEqual([true, [], 1]);
  });

  it('leaves no waiting caller and no listener behind, however often it happens', async () => {
    const made = await connected(room({ writePatience: 60_000 }));
    const stopped = Reflect.get(made.link, 'stopped') as AbortController;
    const waiters = Reflect.get(made.link, 'waiters') as Set<unknown>;
    const listeners = (): number => getEventListeners(stopped.signal, 'abort').length;
    const before = listeners();
    for (let time = 0; time < 5; time++) {
      made.engine.stop();
      await isDown(made);
      const [write, read] = [made.link.whenReady(), made.link.whenConnected()];
      const gone = new AbortController();
      const leaves = made.link.whenReady(gone.signal);
      gone.abort(new Error('the client left'));
      await expect(leaves).rejects.toThrow('the client left');
      made.engine.start();
      await Promise.all([write, read]);
    }
    await settle();
    expect(waiters.size).toBe(0);
    expect(listeners()).toBe(before);
  });

  it('keeps the records, which are corrected when the Engine is back', async () => {
    const made = room();
    made.engine.containers.set(CONTAINER_ID, containerInspect());
    made.engine.containers.set(SANDBOX_ID, sandboxInspect());
    await connected(made);
    made.engine.stop();
    await isDown(made);
    expect([made.store.containers.size, made.store.sandboxes.size]).toEqual([1, 1]);
    expect(made.store.engine).toBeDefined();
    await made.link.whenSyncedOnce();
    made.engine.containers.delete(CONTAINER_ID);
    made.engine.containers.set(SANDBOX_ID, sandboxInspect({ state: EXITED_STATE }));
    made.engine.start();
    await isReady(made);
    expect(made.store.containers.size).toBe(0);
    expect(made.store.sandboxes.get(SANDBOX_ID)?.state).toBe('exited');
  });

  it('ends before the images are listed again, and the known images count until then', async () => {
    const made = await connected(room({ imagePatience: 60_000 }));
    const lists = made.engine.count('listImages');
    made.engine.gates.set('listImages', () => gate().promise);
    made.engine.stop();
    await isDown(made);
    made.engine.start();
    await isReady(made);
    await made.link.whenImagesSyncedOnce();
    await until(() => made.engine.count('listImages') > lists);
  });

  it('during the first lists counts as not connected', async () => {
    const made = room();
    made.engine.gates.set('listImages', () => gate().promise);
    made.link.start();
    await until(() => made.engine.count('listImages') === 1);
    made.engine.stop();
    await until(() => made.complaints.length > 0);
    expect(made.link.state.ready).toBe(false);
    made.engine.gates.clear();
    made.engine.start();
    await isReady(made);
  });

  it('is logged again only when the reason changes', async () => {
    const made = await connected(room());
    made.engine.stop();
    await isDown(made);
    const attempts = made.engine.count('version');
    await until(() => made.engine.count('version') > attempts + 5);
    expect(made.complaints.length).toBeLessThanOrEqual(2);
    expect(new Set(made.complaints).size).toBe(made.complaints.length);
  });
});

describe('waiting', () => {
  it('ends for all callers when the link connects', async () => {
    const made = room({ writePatience: 60_000 });
    let woken = 0;
    const waiting = [made.link.whenReady(), made.link.whenReady(), made.link.whenSyncedOnce()];
    for (const one of waiting) void one.then(() => woken++);
    made.link.start();
    await until(() => woken === 3, 'the waking');
    expect(made.link.state.ready).toBe(true);
    await made.link.whenReady();
  });

  it('is refused with the reason after the time limit', async () => {
    const made = room();
    made.engine.down = true;
    made.link.start();
    await until(() => made.complaints.length > 0);
    for (const waiting of [made.link.whenReady(), made.link.whenSyncedOnce()]) {
      expect(await rejectionOf(waiting)).toBe(
        'UNAVAILABLE Docker Engine does not answer (ECONNREFUSED): is dockerd running?',
      );
    }
  });

  it('for a write lasts until an Engine that comes back is connected', async () => {
    const made = await connected(room({ writePatience: 5_000 }));
    made.engine.stop();
    await isDown(made);
    const waiting = made.link.whenReady();
    await settle();
    made.engine.start();
    await waiting;
    expect(made.link.state.ready).toBe(true);
  });

  it("ends with the caller's reason when the caller gives up", async () => {
    const made = room({ writePatience: 5_000 });
    const controller = new AbortController();
    const waiting = made.link.whenReady(controller.signal);
    controller.abort(new Error('the client left'));
    await expect(waiting).rejects.toThrow('the client left');
  });
});

describe('a stop', () => {
  it.each<{ desc: string; before: (made: SyncRoom) => Promise<unknown> | undefined }>([
    { desc: 'never started', before: () => undefined },
    {
      desc: 'just started',
      before: ({ link }) => {
        link.start();
        return undefined;
      },
    },
    {
      desc: 'requesting facts',
      before: async ({ engine, link }) => {
        engine.gates.set('version', () => gate().promise);
        link.start();
        await until(() => engine.count('version') === 1);
      },
    },
    {
      desc: 'subscribing',
      before: async ({ engine, link }) => {
        engine.gates.set('events', () => gate().promise);
        link.start();
        await until(() => engine.count('events') === 1);
      },
    },
    {
      desc: 'listing',
      before: async ({ engine, link }) => {
        engine.gates.set('listContainers', () => gate().promise);
        link.start();
        await until(() => engine.count('listContainers') === 1);
      },
    },
    { desc: 'ready', before: (made) => connected(made) },
    {
      desc: 'down',
      before: async (made) => {
        made.engine.down = true;
        made.link.start();
        await until(() => made.complaints.length > 0);
      },
    },
  ])('of a link that is $desc ends it, and leaves no subscriber', async ({ before }) => {
    const made = room({ reconnect: 60_000, probeTimeout: 60_000 });
    await before(made);
    await made.link.stop();
    await settle();
    expect(made.link.state.ready).toBe(false);
    expect(made.engine.subscribers).toBe(0);
    const calls = made.engine.calls.length;
    await settle();
    expect(made.engine.calls).toHaveLength(calls);
    await made.link.stop();
  });

  it('is not a fault of the Engine, and nothing is logged', async () => {
    const made = await connected(room());
    await made.link.stop();
    expect(made.complaints).toEqual([]);
    expect(await rejectionOf(made.link.whenReady())).toBe('UNAVAILABLE dockbridge is shutting down');
  });
});
