import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fsPromises, {
  mkdtemp,
  open,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OtherClaim } from '../../../src/node/claims';
import { silentLogger, type LogFields, type Logger } from '../../../src/lib/logger';
import type { EngineFacts } from '../../../src/store/records';
import {
  engineKey,
  EngineTaken,
  NoClaim,
  OneDaemon,
  rememberedEngine,
  wayKey,
  type ClaimTimes,
  type OneDaemonParts,
} from '../../../src/sync/engine-claim';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { connected, CONTAINER_ID, containerInspect, syncRoom, type SyncRoom } from './support/room';

const ENDPOINT = 'unix:///engine.sock';
const LINK = { reconnect: 2, writePatience: 30, probeTimeout: 200 };
const OTHER: OtherClaim = { process: '7 1 boot', words: 'process 7, run directory /other' };
const REASON =
  'another dockbridge serves this Docker Engine (process 7, run directory /other): stop one of the two';

/** The claims of other processes. */
const taken = new Map<string, OtherClaim>();
const held = new Set<string>();
let disk: Error | undefined;
let lines: string[] = [];
const claims = {
  take: (key: string): Promise<OtherClaim | undefined> => {
    if (disk !== undefined) return Promise.reject(disk);
    const other = taken.get(key);
    if (other === undefined) held.add(key);
    return Promise.resolve(other);
  },
  sweep: (): Promise<void> => Promise.resolve(),
  release: (key: string): Promise<void> => {
    held.delete(key);
    return Promise.resolve();
  },
};
const note = (message: string, fields?: LogFields): void =>
  void lines.push([message, fields?.reason ?? fields?.error].filter(Boolean).join(': '));
const logger: Logger = { ...silentLogger, warn: note, error: note, info: note };

let room: SyncRoom;
let directory: string;
let memory: string;
let way: string;

function start(times: Partial<ClaimTimes> = {}): void {
  const claim = new OneDaemon({
    claims,
    endpoint: ENDPOINT,
    memory,
    logger,
    times: { lookAgain: 2, askAgain: 5, infoPatience: 5_000, ...times },
  });
  room = syncRoom(LINK, {}, claim);
  room.engine.containers.set(CONTAINER_ID, containerInspect());
}

const key = (id = 'ENGINE'): string => engineKey({ id, rootDir: '/var/lib/docker' });
const become = (id: string): void => void (room.engine.facts = { ...room.engine.facts, ID: id });
const told = (text: string): string[] => lines.filter((line) => line.includes(text));
const isTaken = (): boolean => !room.link.state.ready && room.link.state.word === 'EngineTaken';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-claim-'));
  memory = join(directory, 'engine');
  taken.clear();
  held.clear();
  disk = undefined;
  lines = [];
  way = await wayKey(ENDPOINT);
});
afterEach(async () => {
  await room.link.stop();
  await rm(directory, { recursive: true });
});

it('a daemon claims the endpoint and the Engine before it lists or follows anything', async () => {
  start();
  const info = gate();
  room.engine.gates.set('info', () => info.promise);
  room.link.start();
  await until(() => room.engine.count('info') === 1);
  expect([...held]).toEqual([way]);
  expect([room.engine.count('events'), room.engine.count('listContainers')]).toEqual([0, 0]);
  info.resolve();
  await until(() => room.link.state.ready);
  expect([...held]).toEqual([way, key()]);
});

it.each([
  ['the endpoint', () => way],
  ['the Engine', () => key()],
])(
  'a daemon waits while another one has claimed %s, logs that once, and serves when the claim is gone',
  async (_, what) => {
    start();
    taken.set(what(), OTHER);
    room.link.start();
    await until(isTaken);
    expect(room.link.state).toEqual({ ready: false, reason: REASON, word: 'EngineTaken' });
    const versions = room.engine.count('version');
    // A daemon that waits for the Engine asks at intervals which Engine it is. A daemon that waits for the
    // endpoint does not ask.
    if (what() === key()) await until(() => room.engine.count('version') > versions + 3);
    expect([room.engine.count('events'), room.engine.count('listContainers')]).toEqual([0, 0]);
    expect(room.logs.calls).toEqual([]);
    expect(isTaken()).toBe(true);
    taken.clear();
    await until(() => room.link.state.ready);
    expect(told('Another dockbridge serves')).toEqual([
      `Another dockbridge serves this Docker Engine; waiting for it to end: ${REASON}`,
    ]);
    expect(told('has ended')).toHaveLength(1);
    expect(room.complaints).toEqual([]);
  },
);

it('a daemon claims a new Engine at the same endpoint, and releases its claim on the previous one', async () => {
  start();
  await connected(room);
  become('OTHER');
  room.engine.stop();
  await until(() => !room.link.state.ready);
  room.engine.start();
  await until(() => room.link.state.ready);
  expect([...held].sort()).toEqual([way, key('OTHER')].sort());
});

it('a daemon reads an Engine that is slow to identify itself, and leaves it if it is claimed by another daemon', async () => {
  start({ infoPatience: 1 });
  const info = gate();
  room.engine.gates.set('info', () => info.promise);
  taken.set(key(), OTHER);
  room.link.start();
  await until(() => room.link.hasSynced);
  info.resolve();
  await until(isTaken);
  await until(() => room.engine.subscribers === 0);
  const lists = room.engine.count('listContainers');
  // The daemon remembers the Engine now, so it lists nothing while /info hangs.
  const again = gate();
  room.engine.gates.set('info', () => again.promise);
  const versions = room.engine.count('version');
  await until(() => room.engine.count('version') > versions + 2);
  expect([isTaken(), room.engine.count('listContainers')]).toEqual([true, lists]);
  taken.clear();
  await until(() => room.engine.count('listContainers') > lists);
  again.resolve();
  await until(() => room.link.state.ready);
});

it('a daemon claims the previous Engine until the present one identifies itself', async () => {
  start({ infoPatience: 1 });
  await connected(room);
  expect(await rememberedEngine(memory)).toBe(key());
  await room.link.stop();
  start({ infoPatience: 1 });
  const info = gate();
  room.engine.gates.set('info', () => info.promise);
  taken.set(key(), OTHER);
  room.link.start();
  await until(isTaken);
  expect(room.engine.count('listContainers')).toBe(0);
  become('ANOTHER');
  info.resolve();
  await until(() => room.link.state.ready);
  expect(await rememberedEngine(memory)).toBe(key('ANOTHER'));
  await writeFile(memory, 'nonsense');
  expect(await rememberedEngine(memory)).toBe('');
});

it('a daemon serves if no claim can be written, and logs that once', async () => {
  start();
  disk = new Error('ENOSPC: no space left on device');
  await connected(room);
  expect(lines).toEqual([
    'Cannot claim Docker Engine; a second dockbridge would not be noticed: ENOSPC: no space left on device',
  ]);
});

it('a daemon serves, even after a reconnect, if the file about the Engine is on a disk that hangs', async () => {
  // Nobody writes to this FIFO, so a read does not return.
  execFileSync('mkfifo', [memory]);
  start({ memoryPatience: 1 });
  try {
    await connected(room);
    room.engine.stop();
    await until(() => !room.link.state.ready);
    room.engine.start();
    await until(() => room.link.state.ready);
    expect(held.has(key())).toBe(true);
  } finally {
    const file = await open(memory, 'r+');
    await rm(memory);
    await file.close();
  }
});

it('a daemon releases the endpoint at the end', async () => {
  start();
  await connected(room);
  await room.link.stop();
  const claim = new OneDaemon({ claims, endpoint: ENDPOINT, memory, logger });
  await claim.holdWay(new AbortController().signal, () => undefined);
  await claim.release();
  expect(held.has(way)).toBe(false);
});

it('wayKey returns one key for all names of a socket, and different keys for different hosts', async () => {
  expect(await wayKey('unix:///var/run/x')).toBe(await wayKey('unix:///var/run/x'));
  expect(await wayKey('unix:///proc/self/../version')).toBe(await wayKey('unix:///proc/version'));
  expect(await wayKey('tcp://a:1')).not.toBe(await wayKey('tcp://a:2'));
});

describe('OneDaemon', () => {
  const NEVER = new Promise<never>(() => undefined);
  const FACTS = { id: 'ENGINE', rootDir: '/var/lib/docker' } as EngineFacts;
  let told: unknown[];
  let story: string[];
  let reasons: string[];
  let stop: AbortController;
  const onTaken = (reason: string): void => void reasons.push(reason);
  const takes = (): string[] => story.filter((step) => step.startsWith('take'));

  function daemon(times?: Partial<ClaimTimes>, over: Partial<OneDaemonParts['claims']> = {}): OneDaemon {
    const full =
      (level: string) =>
      (...line: unknown[]): void =>
        void told.push([level, ...line]);
    return new OneDaemon({
      claims: {
        take: (one) => {
          story.push(`take ${one}`);
          return claims.take(one);
        },
        sweep: () => Promise.resolve(void story.push('sweep')),
        release: (one) => {
          story.push(`release ${one}`);
          return claims.release(one);
        },
        ...over,
      },
      ...{ endpoint: ENDPOINT, memory },
      logger: { ...silentLogger, warn: full('warn'), info: full('info') },
      ...(times === undefined ? {} : { times }),
    });
  }
  /** Returns an object whose `now` becomes the result of the promise, or its error. */
  const fate = (promise: Promise<unknown>): { now: unknown } => {
    const found: { now: unknown } = { now: 'pending' };
    promise.then(
      (value) => (found.now = value),
      (error: unknown) => (found.now = error),
    );
    return found;
  };

  beforeEach(() => {
    [told, story, reasons, stop] = [[], [], [], new AbortController()];
    room = syncRoom();
  });
  afterEach(() => {
    stop.abort(new Error('the end'));
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  it('removes dead claims once, and claims the endpoint at each connection', async () => {
    const one = daemon();
    await one.holdWay(stop.signal, onTaken);
    await one.holdWay(stop.signal, onTaken);
    expect(story).toEqual(['sweep', `take ${way}`, `take ${way}`]);
    expect(reasons).toEqual([]);
  });

  it('claims the Engine, records its key in a file for root alone, and releases all claims in the end', async () => {
    const one = daemon();
    await one.holdWay(stop.signal, onTaken);
    const writes = jest.spyOn(fsPromises, 'writeFile');
    for (let time = 0; time < 2; time++) {
      const { displaced } = await one.hold(Promise.resolve(FACTS), stop.signal, onTaken);
      const displacement = fate(displaced);
      await settle();
      expect(displacement.now).toBe('pending');
    }
    expect(story).toEqual(['sweep', `take ${way}`, `take ${key()}`, `take ${key()}`]);
    expect(await readFile(memory, 'utf8')).toBe(key());
    expect((await stat(memory)).mode & 0o777).toBe(0o600);
    expect(writes).toHaveBeenCalledTimes(1);
    await one.release();
    expect(story.slice(4).sort()).toEqual([`release ${key()}`, `release ${way}`].sort());
  });

  it('releases only claims that it has', async () => {
    const one = daemon();
    await one.release();
    expect(story).toEqual([]);
    await one.holdWay(stop.signal, onTaken);
    await one.release();
    expect(story.slice(2)).toEqual([`release ${way}`]);
  });

  it('releases the endpoint even if the release of the Engine fails', async () => {
    const released: string[] = [];
    const release = (one: string): Promise<void> => {
      released.push(one);
      return Promise.reject(new Error('EIO'));
    };
    const one = daemon({}, { release });
    await one.holdWay(stop.signal, onTaken);
    await one.hold(Promise.resolve(FACTS), stop.signal, onTaken);
    await one.release();
    expect(released).toEqual([key(), way]);
  });

  it('releases the previous Engine before it claims the next, and only once', async () => {
    const one = daemon();
    await one.hold(Promise.resolve(FACTS), stop.signal, onTaken);
    await one.hold(Promise.resolve({ ...FACTS, id: 'OTHER' }), stop.signal, onTaken);
    expect(story).toEqual([`take ${key()}`, `release ${key()}`, `take ${key('OTHER')}`]);
    expect(await rememberedEngine(memory)).toBe(key('OTHER'));
  });

  it('tries to claim the Engine at intervals for ten seconds, and reports the reason each time', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    jest.spyOn(Math, 'random').mockReturnValue(0.75);
    taken.set(key(), OTHER);
    const one = daemon();
    const holding = fate(one.hold(Promise.resolve(FACTS), stop.signal, onTaken));
    await until(() => reasons.length === 1, 'the first look');
    // 250 ms, plus or minus half of that.
    await jest.advanceTimersByTimeAsync(311);
    expect(takes()).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(2);
    expect(takes()).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(9_600);
    expect(holding.now).toBe('pending');
    await jest.advanceTimersByTimeAsync(400);
    expect(holding.now).toBeInstanceOf(EngineTaken);
    expect(holding.now).toMatchObject({ code: 'UNAVAILABLE', message: REASON });
    expect(new Set(reasons)).toEqual(new Set([REASON]));
    expect(takes()).toHaveLength(reasons.length);
    expect(Math.abs(reasons.length - 33)).toBeLessThanOrEqual(1);
    expect(told).toEqual([
      ['warn', 'Another dockbridge serves this Docker Engine; waiting for it to end', { reason: REASON }],
    ]);
    expect(await rememberedEngine(memory)).toBe('');
  });

  it('tries once if it may not wait', async () => {
    taken.set(key(), OTHER);
    const holding = daemon({ askAgain: 0 }).hold(Promise.resolve(FACTS), stop.signal, onTaken);
    expect(await rejectionOf(holding)).toBe(`UNAVAILABLE ${REASON}`);
    expect(takes()).toHaveLength(1);
  });

  it('waits for the endpoint as long as necessary', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    taken.set(way, OTHER);
    const holding = fate(daemon().holdWay(stop.signal, onTaken));
    await until(() => reasons.length === 1, 'the first look');
    await jest.advanceTimersByTimeAsync(60_000);
    expect(holding.now).toBe('pending');
    taken.clear();
    await jest.advanceTimersByTimeAsync(400);
    expect(holding.now).toBeUndefined();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('gives up when it is stopped, during a pause or a check, and claims nothing more', async () => {
    taken.set(way, OTHER);
    const one = daemon({ lookAgain: 60_000 });
    const waiting = fate(one.holdWay(stop.signal, onTaken));
    await until(() => reasons.length === 1, 'the first look');
    stop.abort(new Error('stopped'));
    await until(() => waiting.now !== 'pending', 'the end');
    expect(waiting.now).toEqual(new Error('stopped'));
    expect(takes()).toHaveLength(1);
    const looking = gate<OtherClaim | undefined>();
    stop = new AbortController();
    const other = daemon({}, { take: () => looking.promise });
    const looked = fate(other.holdWay(stop.signal, onTaken));
    stop.abort(new Error('stopped'));
    looking.resolve(OTHER);
    await until(() => looked.now !== 'pending', 'the end');
    expect(looked.now).toEqual(new Error('stopped'));
    expect(reasons).toHaveLength(1);
    await expect(other.hold(Promise.resolve(FACTS), stop.signal, onTaken)).resolves.toBeDefined();
  });

  it('logs every other daemon that has the claim, and the end of the last one', async () => {
    const one = daemon({ askAgain: 0, lookAgain: 1 });
    const hold = (): Promise<unknown> => one.hold(Promise.resolve(FACTS), stop.signal, onTaken);
    taken.set(key(), OTHER);
    await rejectionOf(hold());
    await rejectionOf(hold());
    taken.set(key(), { process: '8 1 boot', words: 'process 8' });
    await rejectionOf(hold());
    expect(told.map((line) => (line as string[])[0])).toEqual(['warn', 'warn']);
    // The endpoint is free, but the Engine may still be claimed.
    await one.holdWay(stop.signal, onTaken);
    expect(told).toHaveLength(2);
    taken.clear();
    await hold();
    await hold();
    expect(told.slice(2)).toEqual([
      ['info', 'The other dockbridge has ended; this one serves Docker Engine now'],
    ]);
  });

  it('serves an Engine that does not answer for the moment, without a claim on it', async () => {
    const info = gate<EngineFacts>();
    const { displaced } = await daemon({ infoPatience: 1 }).hold(info.promise, stop.signal, onTaken);
    expect(takes()).toEqual([]);
    taken.set(key(), OTHER);
    info.resolve(FACTS);
    expect(await rejectionOf(displaced)).toBe(`UNAVAILABLE ${REASON}`);
    // The claim is tried once, because another daemon already serves.
    expect(takes()).toEqual([`take ${key()}`]);
  });

  it('waits a second for the Engine to identify itself', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const holding = fate(daemon().hold(NEVER, stop.signal, onTaken));
    await jest.advanceTimersByTimeAsync(999);
    expect(holding.now).toBe('pending');
    await jest.advanceTimersByTimeAsync(1);
    expect(holding.now).not.toBe('pending');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is not displaced by a failed check, nor by its own end', async () => {
    const info = gate<EngineFacts>();
    const { displaced } = await daemon({ infoPatience: 1 }).hold(info.promise, stop.signal, onTaken);
    const displacement = fate(displaced);
    info.reject(new Error('lost'));
    await settle();
    const later = gate<EngineFacts>();
    const again = await daemon({ infoPatience: 1 }).hold(later.promise, stop.signal, onTaken);
    const other = fate(again.displaced);
    stop.abort(new Error('stopped'));
    later.resolve(FACTS);
    await settle();
    expect([displacement.now, other.now, takes()]).toEqual(['pending', 'pending', []]);
  });

  it('serves if no claim can be made, and logs the directory and the error', async () => {
    disk = new Error('ENOSPC');
    const one = daemon();
    await one.holdWay(stop.signal, onTaken);
    await one.hold(Promise.resolve(FACTS), stop.signal, onTaken);
    expect(told).toEqual([
      [
        'warn',
        'Cannot claim Docker Engine; a second dockbridge would not be noticed',
        { directory: '/run/dockbridge/engines', error: expect.stringContaining('ENOSPC') as string },
      ],
    ]);
  });

  it('waits a second for the file about the Engine', async () => {
    jest.spyOn(fsPromises, 'readFile').mockReturnValue(NEVER);
    const one = daemon();
    const holding = fate(one.holdWay(stop.signal, onTaken));
    const before = performance.now();
    await until(() => holding.now === undefined, 'the end of its patience');
    expect(performance.now() - before).toBeGreaterThan(900);
  });
});

describe('a daemon without a claim', () => {
  it('holds everything at once, and is never displaced', async () => {
    room = syncRoom();
    const none = new NoClaim();
    await none.holdWay();
    const { displaced } = await none.hold();
    const first = await Promise.race([displaced, Promise.resolve('pending')]);
    expect(first).toBe('pending');
    await none.release();
  });
});

describe('the keys of claims', () => {
  const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
  const before = process.env.DOCKER_HOST;
  beforeEach(() => {
    room = syncRoom();
    delete process.env.DOCKER_HOST;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.DOCKER_HOST;
    else process.env.DOCKER_HOST = before;
  });

  // Daemons of two versions of dockbridge must see each other.
  it('are the same in all versions', async () => {
    expect(engineKey({ id: 'E', rootDir: '/d' })).toBe(hashOf('engine E\n/d'));
    expect(await wayKey('tcp://a:1')).toBe(hashOf('endpoint tcp://a:1'));
    expect(await wayKey('unix:///no/such/socket')).toBe(hashOf('endpoint /no/such/socket'));
    expect(await wayKey('http://a/unix:///b')).toBe(hashOf('endpoint http://a/unix:///b'));
    const link = join(directory, 'link');
    await symlink(directory, link);
    expect(await wayKey(`unix://${link}`)).toBe(hashOf(`endpoint ${await realpath(directory)}`));
  });

  it('are those of the default endpoint if none is given', async () => {
    expect(await wayKey('')).toBe(await wayKey('unix:///var/run/docker.sock'));
    process.env.DOCKER_HOST = '';
    expect(await wayKey('')).toBe(await wayKey('unix:///var/run/docker.sock'));
    process.env.DOCKER_HOST = 'tcp://a:1';
    expect(await wayKey('')).toBe(await wayKey('tcp://a:1'));
    expect(await wayKey('tcp://b:1')).toBe(hashOf('endpoint tcp://b:1'));
  });

  it.each([
    ['0123456789abcdef0123456789abcdef', true],
    ['0123456789abcdef0123456789abcdef\n', false],
    ['x0123456789abcdef0123456789abcdef', false],
    ['0123456789ABCDEF0123456789ABCDEF', false],
    ['0123456789abcdef', false],
  ])('are remembered only if they are complete: %j', async (text, isKey) => {
    await writeFile(memory, text);
    expect(await rememberedEngine(memory)).toBe(isKey ? text : '');
  });
});
