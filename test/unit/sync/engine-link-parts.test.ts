import { getEventListeners } from 'node:events';
import type { ContainerEvents } from '../../../src/containers/events';
import type { ForeignContainers } from '../../../src/containers/foreign';
import type { ContainerResync } from '../../../src/containers/resync';
import type { EngineEvent } from '../../../src/engine/types';
import { abortable } from '../../../src/lib/async/abortable';
import { unavailable } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { WritableStore } from '../../../src/store/store';
import { EngineTaken } from '../../../src/sync/engine-claim';
import { EngineLink, type EngineLinkParts } from '../../../src/sync/engine-link';
import type { EngineTrouble } from '../../../src/sync/engine-watch';
import type { ImageSync } from '../../../src/sync/image-sync';
import { LINK_TIMES } from '../../../src/sync/link-times';
import { FakeEngine } from '../../fakes/fake-docker';
import { gate, settle, until, type Gate } from '../support/async';
import { rejectionOf } from '../support/errors';
import { engineId } from '../support/records';
import { containerEvent, imageEvent } from './support/room';

const ID = engineId('c1');
const NEVER = new Promise<never>(() => undefined);

type OnTaken = (reason: string) => void;

/** The link alone, with parts that only record the calls to them. */
class Link {
  readonly engine = new FakeEngine();
  readonly store = new WritableStore();
  readonly story: unknown[][] = [];
  readonly told: unknown[][] = [];
  trouble: EngineTrouble | undefined;
  /** The signal of the connection. */
  signal: AbortSignal | undefined;
  onTaken: OnTaken = () => undefined;
  way: () => Promise<void> = () => Promise.resolve();
  hold: () => Promise<{ displaced: Promise<never> }> = () => Promise.resolve({ displaced: NEVER });
  resync: (first: boolean, onListed?: () => void) => Promise<void> = () => Promise.resolve();
  doubtful: () => Promise<void> = () => Promise.resolve();
  images: Gate<void> = gate();
  hasListedImages = false;
  readonly link: EngineLink;

  constructor(times: EngineLinkParts['times'] = {}) {
    this.images.resolve();
    const note =
      (call: string) =>
      (...args: unknown[]): void =>
        void this.story.push([call, ...args]);
    const tell =
      (level: string) =>
      (...line: unknown[]): void =>
        void this.told.push([level, ...line]);
    const room = this as Link;
    this.link = new EngineLink({
      docker: this.engine.client,
      store: this.store,
      containerResync: {
        run: (first: boolean, signal: AbortSignal, onListed?: () => void) => {
          note('resync')(first, signal);
          return abortable(this.resync(first, onListed), signal);
        },
        retryDoubtful: (signal: AbortSignal) => {
          note('doubtful')(signal);
          return this.doubtful();
        },
      } as unknown as ContainerResync,
      containerEvents: { handle: note('event') } as unknown as ContainerEvents,
      foreignContainers: { handle: note('foreign') } as unknown as ForeignContainers,
      imageSync: {
        requestResync: note('images'),
        whenListed: (signal: AbortSignal) => {
          note('whenListed')(signal);
          return abortable(this.images.promise, signal);
        },
        get hasListed() {
          return room.hasListedImages;
        },
      } as unknown as ImageSync,
      diskUsage: {
        run: (signal) => {
          note('disk')(signal);
          return NEVER;
        },
      },
      watch: {
        get trouble() {
          return room.trouble;
        },
        look: note('look'),
      },
      claim: {
        holdWay: (signal, onTaken) => {
          note('way')(signal);
          [this.signal, this.onTaken] = [signal, onTaken];
          return abortable(this.way(), signal);
        },
        hold: (_, signal) => {
          note('hold')(signal);
          return abortable(this.hold(), signal);
        },
      },
      localEngine: false,
      logger: { ...silentLogger, info: tell('info'), warn: tell('warn'), error: tell('error') },
      times,
    });
  }

  count(call: string): number {
    return this.story.filter(([name]) => name === call).length;
  }

  async connect(): Promise<void> {
    this.link.start();
    await until(() => this.link.state.ready, 'the link');
  }

  get reason(): string {
    return this.link.state.ready ? 'ready' : this.link.state.reason;
  }
}

let made: Link;
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  made = new Link();
});
afterEach(async () => {
  const stopping = made.link.stop();
  await settle();
  await jest.advanceTimersByTimeAsync(1);
  await stopping;
  jest.useRealTimers();
});

it('the link has all its default times', () => {
  const names = ['askBeside', 'factsPatience', 'heartbeat', 'imagePatience', 'probeTimeout', 'recallAfter'];
  expect(Object.keys(LINK_TIMES).sort()).toEqual([...names, 'reconnect', 'resync', 'writePatience'].sort());
  for (const ms of Object.values(LINK_TIMES)) expect(ms).toBeGreaterThanOrEqual(100);
});

describe('connecting', () => {
  it('calls each part in turn, with the signal of the connection', async () => {
    await made.connect();
    const { signal } = made;
    expect(made.story).toEqual([
      ...[
        ['way', signal],
        ['hold', signal],
        ['images', signal],
      ],
      ...[
        ['whenListed', signal],
        ['resync', true, signal],
        ['disk', signal],
      ],
    ]);
    expect(made.engine.calls).toEqual(['version', 'info', 'events']);
    expect(made.told).toEqual([
      ['info', 'Connected to Docker Engine', { version: '20.10.24', sandboxes: 0, containers: 0, images: 0 }],
    ]);
    expect([made.link.hasSynced, made.link.stateAge]).toEqual([true, 0]);
    await jest.advanceTimersByTimeAsync(500);
    expect(made.link.stateAge).toBe(500);
    expect(signal?.aborted).toBe(false);
  });

  it('reports at each step what it waits for', async () => {
    const [way, hold, info, resynced] = [gate(), gate<{ displaced: Promise<never> }>(), gate(), gate()];
    let onListed!: () => void;
    made.images = gate();
    made.way = () => way.promise;
    made.hold = () => hold.promise;
    made.resync = (_, listed) => {
      onListed = listed!;
      return resynced.promise;
    };
    made.engine.gates.set('info', () => info.promise);
    expect(made.reason).toBe('Docker Engine has not answered yet');
    made.link.start();
    await settle();
    expect(made.engine.calls).toEqual([]);
    way.resolve();
    await until(() => made.count('hold') === 1);
    expect(made.engine.calls).toEqual(['version', 'info']);
    hold.resolve({ displaced: NEVER });
    await until(() => made.count('resync') === 1);
    expect([made.engine.count('events'), made.reason]).toEqual([1, 'Docker Engine has not answered yet']);
    onListed();
    await settle();
    // A list of containers names their images, so it waits for the list of images.
    expect(made.reason).toBe('Docker Engine has not answered yet');
    await jest.advanceTimersByTimeAsync(2_000);
    expect(made.reason).toBe('Docker Engine has not answered the inspects of all containers yet');
    await made.link.whenAnswered();
    expect(made.link.hasSynced).toBe(false);
    resynced.resolve();
    await settle();
    expect(made.reason).toBe('Docker Engine has not answered /info yet');
    await made.link.whenConnected();
    await made.link.whenSyncedOnce();
    info.resolve();
    await until(() => made.link.state.ready);
  });

  it('allows two seconds for the first list of images', async () => {
    made.images = gate();
    made.link.start();
    await until(() => made.reason === 'Docker Engine has not listed its images yet');
    await jest.advanceTimersByTimeAsync(1_999);
    expect(made.link.state.ready).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await until(() => made.link.state.ready);
  });

  it('again does not report the inspects of the first list as missing', async () => {
    made.link.start();
    await until(() => made.count('resync') === 1);
    await until(() => made.link.state.ready);
    made.engine.stop();
    await until(() => !made.link.state.ready);
    made.engine.start();
    // The records of the first connection stay valid, so no inspect counts as missing.
    const reasons = new Set<string>();
    made.resync = (_, onListed) => {
      onListed?.();
      return settle().then(() => void reasons.add(made.reason));
    };
    await jest.advanceTimersByTimeAsync(300);
    await until(() => made.link.state.ready);
    expect([...reasons]).not.toContain('Docker Engine has not answered the inspects of all containers yet');
  });

  it.each([
    ['version', 'Docker Engine took longer than 5000 ms'],
    ['events', 'Subscribing to Engine events took longer than 5000 ms'],
  ])('allows five seconds for an answer: %s', async (call, reason) => {
    made.engine.gates.set(call, () => gate().promise);
    made.link.start();
    await until(() => made.engine.count(call) === 1);
    await settle();
    await jest.advanceTimersByTimeAsync(4_999);
    expect(made.told).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    await until(() => made.told.length === 1);
    expect(made.link.state).toEqual({ ready: false, reason });
    expect(made.told).toEqual([['error', 'Docker Engine is not available', { reason }]]);
  });

  it('is tried again after 300 ms, and logs each new reason', async () => {
    made.way = () => Promise.reject(new Error('one'));
    made.link.start();
    await settle();
    expect([made.count('way'), made.link.steps]).toEqual([1, 1]);
    await jest.advanceTimersByTimeAsync(299);
    expect(made.count('way')).toBe(1);
    await jest.advanceTimersByTimeAsync(1);
    expect([made.count('way'), made.link.steps]).toEqual([2, 2]);
    made.way = () => Promise.reject(new Error('two'));
    await jest.advanceTimersByTimeAsync(300);
    made.way = () => Promise.reject(new Error('one'));
    await jest.advanceTimersByTimeAsync(300);
    const lost = (reason: string): unknown[] => ['error', 'Docker Engine is not available', { reason }];
    expect(made.told).toEqual(['one', 'two', 'one'].map(lost));
    made.way = () => Promise.resolve();
    await jest.advanceTimersByTimeAsync(300);
    await until(() => made.link.state.ready);
    // The same reason is logged again after a connection.
    made.way = () => Promise.reject(new Error('one'));
    made.engine.stop();
    made.engine.start();
    await until(() => !made.link.state.ready);
    await jest.advanceTimersByTimeAsync(300);
    await until(() => made.told.length === 6);
    expect(made.told.at(-1)).toEqual(lost('one'));
  });
});

describe('an Engine that another daemon serves', () => {
  const TAKEN = { ready: false, reason: 'taken by another', word: 'EngineTaken' };

  it('is not ready while the claim waits, and each check is a step of the loop', async () => {
    made.way = () => NEVER;
    made.link.start();
    await settle();
    const before = made.link.steps;
    made.onTaken('taken by another');
    expect(made.link.state).toEqual(TAKEN);
    expect(made.link.steps).toBe((before as number) + 1);
    made.way = () => Promise.resolve();
  });

  it.each<[string, (made: Link) => void]>([
    [
      'before the Engine is asked',
      (one) => (one.way = () => Promise.reject(new EngineTaken('taken by another'))),
    ],
    [
      'when the Engine has identified itself',
      (one) => (one.hold = () => Promise.reject(new EngineTaken('taken by another'))),
    ],
    [
      'after the connection',
      (one) =>
        (one.hold = () =>
          Promise.resolve({ displaced: Promise.reject(new EngineTaken('taken by another')) })),
    ],
  ])('is left, without an error in the log, when the claim fails %s', async (_, arrange) => {
    arrange(made);
    made.link.start();
    await until(() => made.reason === 'taken by another');
    expect(made.link.state).toEqual(TAKEN);
    expect(made.told.filter(([level]) => level === 'error')).toEqual([]);
    expect(made.signal?.aborted).toBe(true);
  });
});

describe('events', () => {
  it('go to the parts that use them', async () => {
    await made.connect();
    made.story.length = 0;
    const [event, other] = [containerEvent('die'), { ...imageEvent, Type: 'network' }];
    for (const one of [event, imageEvent, other]) made.engine.emit(one);
    await until(() => made.story.length >= 3);
    await settle();
    expect(made.story).toEqual([
      ['event', event],
      ['foreign', event, made.signal],
      ['images', made.signal],
    ]);
  });

  it('of a reload lead to a request for the facts, whose failure is logged unless the connection is lost', async () => {
    await made.connect();
    made.told.length = 0;
    const reload: EngineEvent = { ...imageEvent, Type: 'daemon', Action: 'reload' };
    made.engine.gates.set('info', () => Promise.reject(new Error('busy')));
    made.engine.emit(reload);
    await until(() => made.told.length === 1);
    expect(made.told).toEqual([
      ['warn', 'Docker Engine was reloaded; cannot read its facts', { error: 'busy' }],
    ]);
    made.engine.gates.set('info', () => gate().promise);
    made.engine.emit(reload);
    await until(() => made.engine.count('info') === 3);
    made.engine.stop();
    await until(() => !made.link.state.ready);
    expect(made.told.slice(1).map(([level]) => level)).toEqual(['error']);
  });
});

describe('the heartbeat', () => {
  it('pings, checks for slow calls, and inspects doubtful containers again', async () => {
    await made.connect();
    await settle();
    made.story.length = 0;
    await jest.advanceTimersByTimeAsync(9_999);
    expect(made.engine.count('ping')).toBe(0);
    const before = made.link.steps as number;
    await jest.advanceTimersByTimeAsync(1);
    await until(() => made.count('doubtful') === 1);
    const { signal } = made;
    expect(made.story).toEqual([
      ['look', signal],
      ['doubtful', signal],
    ]);
    expect(made.engine.count('ping')).toBe(1);
    await settle();
    expect(made.link.steps).toBe(before + 1);
  });

  it('compares the lists once a minute', async () => {
    await made.connect();
    await settle();
    made.story.length = 0;
    const beats = async (count: number): Promise<void> => {
      for (let beat = 0; beat < count; beat++) {
        const before = made.count('doubtful');
        await jest.advanceTimersByTimeAsync(10_000);
        await until(() => made.count('doubtful') > before);
        await settle();
      }
    };
    await beats(5);
    expect(made.count('resync')).toBe(0);
    await beats(1);
    expect(made.story.slice(-2)).toEqual([
      ['resync', false, made.signal],
      ['images', made.signal],
    ]);
    await beats(5);
    expect(made.count('resync')).toBe(1);
    await beats(1);
    expect(made.count('resync')).toBe(2);
  });

  it('logs a comparison that fails, and continues', async () => {
    await made.connect();
    made.told.length = 0;
    made.doubtful = () => Promise.reject(new Error('odd'));
    await settle();
    for (let beat = 1; beat <= 2; beat++) {
      await jest.advanceTimersByTimeAsync(10_000);
      await until(() => made.told.length === beat);
      await settle();
    }
    expect(made.told[1]).toEqual([
      'warn',
      'The periodic comparison with Docker Engine failed',
      { error: 'odd' },
    ]);
    expect([made.link.state.ready, made.engine.count('events')]).toEqual([true, 1]);
  });

  it('ends the connection when a comparison shows that the Engine is unavailable', async () => {
    await made.connect();
    await settle();
    made.told.length = 0;
    made.doubtful = () => Promise.reject(unavailable('refused'));
    await jest.advanceTimersByTimeAsync(10_000);
    await until(() => !made.link.state.ready);
    expect(made.told).toEqual([['error', 'Docker Engine is not available', { reason: 'refused' }]]);
    expect(made.signal?.reason).toEqual(unavailable('the connection to Docker Engine was lost'));
  });

  it('allows five seconds for each of two pings', async () => {
    await made.connect();
    await settle();
    made.engine.gates.set('ping', () => gate().promise);
    await jest.advanceTimersByTimeAsync(10_000);
    await until(() => made.engine.count('ping') === 1);
    await jest.advanceTimersByTimeAsync(5_000);
    await until(() => made.engine.count('ping') === 2);
    expect(made.link.state.ready).toBe(true);
    await jest.advanceTimersByTimeAsync(4_999);
    await settle();
    expect(made.link.state.ready).toBe(true);
    await jest.advanceTimersByTimeAsync(1);
    await until(() => !made.link.state.ready);
    expect(made.reason).toBe('Docker Engine ping took longer than 5000 ms');
  });
});

describe('the reported problem', () => {
  const stuck: EngineTrouble = { isStuck: true, reason: 'Stuck', message: 'stuck' };
  const slow: EngineTrouble = { isStuck: false, reason: 'Slow', message: 'slow' };

  it('is the one that the watch finds, if the Engine is connected', async () => {
    made.trouble = stuck;
    expect(made.link.trouble).toBeUndefined();
    await made.connect();
    expect(made.link.trouble).toBe(stuck);
    made.trouble = slow;
    expect(made.link.trouble).toBe(slow);
    made.trouble = undefined;
    expect(made.link.trouble).toBeUndefined();
  });

  it('is first a stuck Engine, then old facts, then a slow Engine', async () => {
    await made.connect();
    made.engine.gates.set('info', () => gate().promise);
    made.engine.stop();
    await until(() => !made.link.state.ready);
    made.engine.start();
    await jest.advanceTimersByTimeAsync(300);
    await until(() => made.link.state.ready);
    await jest.advanceTimersByTimeAsync(5_000);
    made.trouble = slow;
    expect(made.link.trouble?.reason).toBe('DockerInfoHangs');
    made.trouble = stuck;
    expect(made.link.trouble).toBe(stuck);
  });
});

describe('waiting', () => {
  /** Checks that a wait ends after exactly `ms`, and returns how it ends. */
  async function endsAfter(ms: number, waiting: Promise<unknown>): Promise<string | undefined> {
    let outcome: string | undefined;
    void waiting.then(
      () => (outcome = 'resolved'),
      (error: unknown) => (outcome = (error as Error).message),
    );
    await settle();
    if (ms > 0) await jest.advanceTimersByTimeAsync(ms - 1);
    await settle();
    if (ms > 0) expect(outcome).toBeUndefined();
    if (ms > 0) await jest.advanceTimersByTimeAsync(1);
    await settle();
    return outcome;
  }
  const NOT_YET = 'Docker Engine has not answered yet';

  it.each<[string, (link: EngineLink) => Promise<void>]>([
    ['whenConnected', (link) => link.whenConnected()],
    ['whenReady', (link) => link.whenReady()],
    ['whenSyncedOnce', (link) => link.whenSyncedOnce()],
    ['whenAnswered', (link) => link.whenAnswered()],
    ['whenListed', (link) => link.whenListed('container')],
    ['whenContainerKnown', (link) => link.whenContainerKnown(ID)],
    ['whenContainerKnown by a short id', (link) => link.whenContainerKnown('c1')],
    ['whenPodKnown', (link) => link.whenPodKnown(ID)],
    ['whenPodKnown by a short id', (link) => link.whenPodKnown('c1')],
    ['whenImagesSyncedOnce', (link) => link.whenImagesSyncedOnce()],
  ])('%s is refused after two seconds, and leaves neither a waiter nor a timer', async (_, wait) => {
    expect(await endsAfter(2_000, wait(made.link))).toBe(NOT_YET);
    const waiters = Reflect.get(made.link, 'waiters') as Set<unknown>;
    expect([waiters.size, jest.getTimerCount()]).toEqual([0, 0]);
  });

  it.each<[string, (link: EngineLink, signal: AbortSignal) => Promise<void>]>([
    ['whenConnected', (link, signal) => link.whenConnected(signal)],
    ['whenReady', (link, signal) => link.whenReady(signal)],
    ['whenSyncedOnce', (link, signal) => link.whenSyncedOnce(signal)],
    ['whenAnswered', (link, signal) => link.whenAnswered(signal)],
    ['whenListed', (link, signal) => link.whenListed('sandbox', signal)],
    ['whenContainerKnown', (link, signal) => link.whenContainerKnown(ID, signal)],
    ['whenContainerKnown by a short id', (link, signal) => link.whenContainerKnown('c1', signal)],
    ['whenPodKnown', (link, signal) => link.whenPodKnown(ID, signal)],
    ['whenPodKnown by a short id', (link, signal) => link.whenPodKnown('c1', signal)],
    ['whenImagesSyncedOnce', (link, signal) => link.whenImagesSyncedOnce(signal)],
  ])('%s ends with its caller', async (_, wait) => {
    const caller = new AbortController();
    const waiting = wait(made.link, caller.signal);
    caller.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });

  it('for facts lasts longer than for a connection, as long as the Engine is connected', async () => {
    made.engine.gates.set('info', () => gate().promise);
    made.link.start();
    await until(() => made.reason.includes('/info'));
    expect(await endsAfter(15_000, made.link.whenReady())).toBe('Docker Engine has not answered /info yet');
  });

  it('for facts lasts only as long as for a connection after the connection was lost', async () => {
    made.engine.gates.set('info', () => gate().promise);
    made.link.start();
    await until(() => made.reason.includes('/info'));
    const waiting = rejectionOf(made.link.whenReady());
    await settle();
    made.engine.stop();
    await until(() => !made.reason.includes('/info'));
    await jest.advanceTimersByTimeAsync(2_000);
    expect(await waiting).toMatch(/^UNAVAILABLE Docker Engine (does not answer|ended the event stream)/);
  });

  it('for an inspect lasts longer than for a list', async () => {
    let onListed!: () => void;
    made.resync = (_, listed) => {
      onListed = listed!;
      return NEVER;
    };
    made.link.start();
    await until(() => made.count('resync') === 1);
    made.store.listed.replace([{ id: ID, kind: 'container', sandboxId: '', record: undefined }]);
    onListed();
    await until(() => made.reason.includes('the inspects of all containers'));
    expect(await endsAfter(15_000, made.link.whenContainerKnown(ID))).toBe(made.reason);
  });

  it('for the images is refused with the state of the Engine', async () => {
    await made.connect();
    made.images = gate();
    expect(await endsAfter(2_000, made.link.whenImagesSyncedOnce())).toBe(
      'Docker Engine has not listed its images yet',
    );
    made.engine.stop();
    await until(() => !made.link.state.ready);
    expect(await endsAfter(2_000, made.link.whenImagesSyncedOnce())).toBe(made.reason);
    expect(made.reason).toMatch(/ECONNREFUSED|ended the event stream/);
    made.hasListedImages = true;
    await made.link.whenImagesSyncedOnce();
  });

  it('for the images succeeds when they arrive at the last moment', async () => {
    await made.connect();
    made.images = gate();
    const waiting = made.link.whenImagesSyncedOnce();
    await settle();
    made.hasListedImages = true;
    await jest.advanceTimersByTimeAsync(2_000);
    await waiting;
  });

  it.each([
    [`${ID}0`, false],
    [`x${ID}`, false],
    [ID.toUpperCase(), false],
    [ID, true],
  ])('for %s applies to one container: %p', async (id, isOne) => {
    const want = jest.spyOn(made.store.listed, 'want');
    const wantPod = jest.spyOn(made.store.listed, 'wantPod');
    await made.connect();
    await made.link.whenContainerKnown(id);
    await made.link.whenPodKnown(id);
    expect([want.mock.calls, wantPod.mock.calls]).toEqual(isOne ? [[[id]], [[id]]] : [[], []]);
  });
});

describe('the end', () => {
  it('reaches everything that the connection began, with its reason', async () => {
    await made.connect();
    const { signal } = made;
    const stopping = made.link.end('HandedOver', 'handed over');
    expect(made.link.steps).toBe('ended');
    await stopping;
    expect(signal?.reason).toEqual(unavailable('handed over'));
    expect(made.link.state).toEqual({ ready: false, reason: 'handed over', word: 'HandedOver' });
    expect(made.told.filter(([level]) => level !== 'info')).toEqual([]);
    expect([made.engine.subscribers, jest.getTimerCount()]).toEqual([0, 0]);
    const stopped = Reflect.get(made.link, 'stopped') as AbortController;
    expect(getEventListeners(stopped.signal, 'abort')).toEqual([]);
  });

  it('of the daemon refuses waiting calls', async () => {
    made.engine.gates.set('info', () => gate().promise);
    made.link.start();
    await until(() => made.reason.includes('/info'));
    const waiting = rejectionOf(made.link.whenReady());
    await made.link.stop();
    await jest.advanceTimersByTimeAsync(2_000);
    expect(await waiting).toBe('UNAVAILABLE dockbridge is shutting down');
  });

  it('comes after five seconds for a repeated question about the facts', async () => {
    await made.connect();
    made.engine.gates.set('info', () => gate().promise);
    const asking = rejectionOf(made.link.readFactsAgain(new AbortController().signal));
    await settle();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(await asking).toBe('DEADLINE_EXCEEDED Docker Engine (/info) took longer than 5000 ms');
  });
});
