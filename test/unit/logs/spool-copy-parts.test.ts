import * as fs from 'node:fs';
import { silentLogger } from '../../../src/lib/logger';
import { SpoolCopy } from '../../../src/logs/spool-copy';
import { nodeLogDisk } from '../../../src/logs/log-disk';
import { emptyLogStats } from '../../../src/logs/container-logs';
import { PositionStore } from '../../../src/logs/resume';
import { TranslationBuffers } from '../../../src/logs/json-file-to-cri';
import { WorkMarker } from '../../../src/logs/hang-watch';
import { LogRoom } from './support/log-room';

/** What one step reads at most. */
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

  it('has passed a place once all before it is copied, and not before', () => {
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
