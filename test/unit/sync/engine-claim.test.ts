import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OtherClaim } from '../../../src/node/claims';
import { silentLogger, type LogFields, type Logger } from '../../../src/lib/logger';
import {
  engineKey,
  OneDaemon,
  rememberedEngine,
  wayKey,
  type ClaimTimes,
} from '../../../src/sync/engine-claim';
import { gate, until } from '../support/async';
import { connected, CONTAINER_ID, containerInspect, syncRoom, type SyncRoom } from './support/room';

const ENDPOINT = 'unix:///engine.sock';
const LINK = { reconnect: 2, writePatience: 30, probeTimeout: 200 };
const OTHER: OtherClaim = { process: '7 1 boot', words: 'process 7, run directory /other' };
const REASON =
  'another dockbridge serves this Docker Engine (process 7, run directory /other): stop that one, and this one serves, or stop this one';

/** What other processes have. */
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

it('claims the way and the Engine before it lists or follows anything', async () => {
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
  ['the way', () => way],
  ['the Engine', () => key()],
])('waits while another one has %s, says so once, and serves when it is gone', async (_, what) => {
  start();
  taken.set(what(), OTHER);
  room.link.start();
  await until(isTaken);
  expect(room.link.state).toEqual({ ready: false, reason: REASON, word: 'EngineTaken' });
  const versions = room.engine.count('version');
  // Whether it is still the same Engine is asked now and then, the way only when it is free.
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
});

it('another Engine at the same place is claimed in its turn, and the former let go', async () => {
  start();
  await connected(room);
  become('OTHER');
  room.engine.stop();
  await until(() => !room.link.state.ready);
  room.engine.start();
  await until(() => room.link.state.ready);
  expect([...held].sort()).toEqual([way, key('OTHER')].sort());
});

it('an Engine that is slow to say what it is is read meanwhile, and left when it is another one’s', async () => {
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
  // The second time it is known.
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

it('the Engine of the last time counts until it says what it is', async () => {
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

it('serves where nothing can be written down, and says so once', async () => {
  start();
  disk = new Error('ENOSPC: no space left on device');
  await connected(room);
  expect(lines).toEqual([
    'Cannot claim Docker Engine; a second dockbridge would not be noticed: ENOSPC: no space left on device',
  ]);
});

it('serves, also after a reconnect, where the memory of the Engine is on a disk that hangs', async () => {
  // Nobody writes to it: a read does not return.
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

it('lets go of all at the end', async () => {
  start();
  await connected(room);
  await room.link.stop();
  const claim = new OneDaemon({ claims, endpoint: ENDPOINT, memory, logger });
  await claim.holdWay(new AbortController().signal, () => undefined);
  await claim.release();
  expect(held.has(way)).toBe(false);
});

it('the same socket is the same way under all its names', async () => {
  expect(await wayKey('unix:///var/run/x')).toBe(await wayKey('unix:///var/run/x'));
  expect(await wayKey('unix:///proc/self/../version')).toBe(await wayKey('unix:///proc/version'));
  expect(await wayKey('tcp://a:1')).not.toBe(await wayKey('tcp://a:2'));
});
