import * as fs from 'node:fs';
import { silentLogger } from '../../../src/lib/logger';
import { emptyLogStats } from '../../../src/logs/container-logs';
import { WorkMarker } from '../../../src/logs/hang-watch';
import { TranslationBuffers } from '../../../src/logs/json-file-to-cri';
import { nodeLogDisk } from '../../../src/logs/log-disk';
import { PositionStore } from '../../../src/logs/resume';
import { SpoolCopy } from '../../../src/logs/spool-copy';
import type { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom, withLogRoom } from './support/log-room';

/** The most bytes that one step reads. */
const CHUNK = 4096;

describe('SpoolCopy', () => {
  let room: LogRoom;
  let follower: SpoolCopy;
  const stats = emptyLogStats();
  beforeEach(() => {
    room = new LogRoom();
    fs.mkdirSync(room.stateDir, { recursive: true });
    Object.assign(stats, emptyLogStats());
  });
  afterEach(async () => {
    follower.release();
    await room.dispose();
  });

  function follow(): void {
    follower = new SpoolCopy(room.source, {
      disk: nodeLogDisk,
      positions: new PositionStore(room.stateDir, nodeLogDisk, silentLogger),
      buffers: new TranslationBuffers(CHUNK),
      stats,
      logger: silentLogger,
      marker: new WorkMarker(),
    });
    follower.start();
  }
  function readAll(): void {
    for (let steps = 0; follower.step() === 'more'; steps++) if (steps > 1_000) throw new Error('no end');
  }

  it('has passed a place once everything before it is copied, and not earlier', () => {
    const docker = room.docker();
    follow();
    expect(follower.target()).toEqual({ ino: expect.any(String) as string, offset: 0 });
    for (let line = 0; line < 3; line++) docker.write('x'.repeat(0.8 * CHUNK));
    const size = fs.statSync(room.spoolPath).size;
    const target = follower.target()!;
    expect([target.offset, follower.lagBytes]).toEqual([size, size]);
    docker.write('later');
    const passed: boolean[] = [];
    for (let step = 0; step < 3; step++) {
      passed.push(follower.hasPassed(target));
      follower.step();
    }
    expect([...passed, follower.hasPassed(target)]).toEqual([false, false, false, true]);
    readAll();
    expect(follower.lagBytes).toBe(0);
    expect(stats).toMatchObject({ records: 4, gaps: 0, unreadable: 0 });
  });

  it('has passed a place in a file that it has left', () => {
    const docker = room.docker({ maxFile: 3 });
    docker.write('one');
    follow();
    const target = follower.target()!;
    docker.rotate();
    docker.write('two');
    expect(follower.hasPassed(target)).toBe(false);
    readAll();
    expect(follower.hasPassed(target)).toBe(true);
    expect(room.texts()).toEqual(['one', 'two']);
  });
});

describe("the copy of a container's spool", () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  withLogRoom((made) => {
    room = made;
    docker = room.docker({ maxSize: 500, maxFile: 3 });
  });

  it('notices new lines by itself', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    for (let i = 0; i < 3; i++) {
      docker.write(`line ${i}`);
      await room.until(() => room.content().includes(`line ${i}`));
    }
    // The copy must see this line, whether it polls or already uses inotify.
    await logs.drain('c1');
    docker.write('after the silence');
    await room.until(() => room.content().includes('after the silence'));
  });

  it('waits for the rest of a half-written record', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    const record = docker.write('whole');
    docker.raw(record.slice(0, 20));
    await logs.drain('c1');
    expect(room.texts()).toEqual(['whole']);
    docker.raw(record.slice(20));
    await logs.drain('c1');
    expect(room.texts()).toEqual(['whole', 'whole']);
  });

  it('notes a torn record at the end of a rotated file', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.raw('{"log":"torn');
    docker.rotate();
    docker.write('next');
    await logs.drain('c1');
    expect(room.texts()).toEqual([expect.stringMatching(/^dockbridge: .* incomplete$/), 'next']);
    expect(await logs.stats()).toMatchObject({ unreadable: 1 });
  });

  it('skips a record that does not fit into its memory, and notes it', async () => {
    const logs = room.logs({ bufferBytes: 4096 });
    await logs.follow(room.source);
    docker.write('before');
    docker.raw(`{"log":"${'x'.repeat(20_000)}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`);
    docker.write('after');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['before', expect.stringMatching(/^dockbridge: .* too long$/), 'after']);
  });

  it('writes a gap line if the spool rotated while nobody followed, and keeps its earlier lines', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('seen');
    await first.drain('c1');
    await first.close();
    for (let i = 0; i < 40; i++) docker.write(`line ${i}`);
    const second = room.logs();
    await second.follow(room.source);
    await second.drain('c1');
    const texts = room.texts();
    expect(texts.slice(0, 2)).toEqual(['seen', expect.stringMatching(/^dockbridge: gap/)]);
    const rest = texts.slice(2);
    expect(rest.length).toBeGreaterThan(5);
    expect(rest).toEqual(Array.from({ length: rest.length }, (_, i) => `line ${40 - rest.length + i}`));
    expect(await second.stats()).toMatchObject({ gaps: 1 });
    expect(room.messages).toEqual([
      {
        level: 'warn',
        message: expect.any(String) as string,
        fields: { container: 'c1', logPath: room.logPath },
      },
    ]);
  });

  it.each([
    [-60_000, true],
    // Engine 28 reads the clock before it creates the file.
    [-1_000, false],
    [60_000, false],
  ])(
    'detects from a container start %d ms from now whether the spool wrapped before the first follow',
    async (ms, gap) => {
      docker.write('line');
      const logs = room.logs();
      await logs.follow({ ...room.source, startedAt: new Date(Date.now() + ms).toISOString() });
      await logs.drain('c1');
      expect(room.texts().some((text) => text.startsWith('dockbridge: gap'))).toBe(gap);
      expect(room.texts().at(-1)).toBe('line');
    },
  );

  it('writes a gap line if the spool was truncated in place', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('a longer line than the next one');
    await logs.drain('c1');
    fs.truncateSync(room.spoolPath, 0);
    docker.write('short');
    await logs.drain('c1');
    expect(room.texts().slice(1)).toEqual([expect.stringMatching(/^dockbridge: gap/), 'short']);
    expect(await logs.stats()).toMatchObject({ records: 2, gaps: 1 });
  });

  it.each(['while it runs', 'while nobody follows'])(
    'writes a gap line if the spool was truncated %s and grew beyond the position',
    async (when) => {
      let logs = room.logs();
      docker = room.docker();
      await logs.follow(room.source);
      docker.write('first');
      await logs.drain('c1');
      if (when !== 'while it runs') await logs.close();
      fs.truncateSync(room.spoolPath, 0);
      for (let i = 0; i < 20; i++) docker.write(`line ${i}`);
      if (when !== 'while it runs') {
        logs = room.logs();
        await logs.follow(room.source);
      }
      await logs.drain('c1');
      const [first, gap, ...rest] = room.texts();
      expect([first, gap]).toEqual(['first', expect.stringMatching(/^dockbridge: gap/)]);
      expect(rest).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i}`));
      expect(await logs.stats()).toMatchObject({ gaps: 1 });
    },
  );

  it('notices a spool that was truncated and grew to the same length', async () => {
    const logs = room.logs();
    docker = room.docker();
    await logs.follow(room.source);
    docker.write('first');
    await logs.drain('c1');
    fs.truncateSync(room.spoolPath, 0);
    docker.write('other');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['first', expect.stringMatching(/^dockbridge: gap/), 'other']);
  });
});
