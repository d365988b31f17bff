import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FollowTask, OpenLogs, SpoolWatch, type RoundRobin, type Task } from '../../../src/logs/follow-task';
import type { SpoolCopy } from '../../../src/logs/spool-copy';
import { emptyLogStats } from '../../../src/logs/container-logs';
import { WorkMarker } from '../../../src/logs/hang-watch';
import { type Logger, silentLogger } from '../../../src/lib/logger';

/** A spool of numbered chunks of one byte each. A step copies one chunk. */
class FakeFollower {
  readonly source: { readonly containerId: string; readonly spoolPath: string; readonly logPath: string };
  readonly calls: string[] = [];
  chunks = 0;
  taken = 0;
  failure: Error | undefined;
  dueIn: number | undefined;
  hasSpool = true;

  constructor(
    directory: string,
    private readonly stats: { bytes: number },
  ) {
    this.source = { containerId: 'c1', spoolPath: join(directory, 'c1-json.log'), logPath: '/log' };
  }
  step(): 'more' | 'idle' {
    this.calls.push('step');
    if (this.failure !== undefined) throw this.failure;
    if (this.taken < this.chunks) {
      this.taken++;
      this.stats.bytes++;
    }
    return this.taken < this.chunks ? 'more' : 'idle';
  }
  commit(): void {
    this.calls.push('commit');
  }
  release(): void {
    this.calls.push('release');
  }
  target(): { ino: string; offset: number } | undefined {
    if (this.failure !== undefined) throw this.failure;
    return this.hasSpool ? { ino: '1', offset: this.chunks } : undefined;
  }
  hasPassed({ offset }: { offset: number }): boolean {
    return this.taken >= offset;
  }
}

/** Gives a task its turns at once, unless it is held: then the test calls `turn`. */
class Queue {
  isHeld = false;

  add(task: Task): void {
    while (!this.isHeld && task.turn());
  }
  remove(): void {
    this.isHeld = true;
  }
}

describe('FollowTask', () => {
  let queue: Queue;
  let directory: string;
  let follower: FakeFollower;
  let task: FollowTask;
  let armed: jest.SpyInstance<boolean>;
  let canWatch: boolean;
  let event: () => void;
  const stats = emptyLogStats();
  const said: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    error: (message) => void said.push(message),
    info: (message) => void said.push(message),
  };

  beforeEach(() => {
    jest.useFakeTimers();
    directory = fs.mkdtempSync(join(tmpdir(), 'dockbridge-follow-'));
    said.length = 0;
    Object.assign(stats, emptyLogStats());
    canWatch = true;
    queue = new Queue();
    follower = new FakeFollower(directory, stats);
    const real = Object.getOwnPropertyDescriptor(SpoolWatch.prototype, 'arm')?.value as SpoolWatch['arm'];
    armed = jest.spyOn(SpoolWatch.prototype, 'arm').mockImplementation(function (this: SpoolWatch) {
      event = (this as unknown as { onEvent: () => void }).onEvent;
      return canWatch && real.call(this);
    });
    task = new FollowTask(
      follower as unknown as SpoolCopy,
      queue as unknown as RoundRobin,
      stats,
      logger,
      new WorkMarker(),
      new OpenLogs(10),
    );
  });
  afterEach(() => {
    task.stop();
    const timers = jest.getTimerCount();
    jest.restoreAllMocks();
    jest.useRealTimers();
    fs.rmSync(directory, { recursive: true });
    expect(timers).toBe(0);
  });

  const steps = (): number => follower.calls.filter((call) => call === 'step').length;
  /** Returns how many steps happen within `ms`. */
  function stepsIn(ms: number): number {
    const before = steps();
    jest.advanceTimersByTime(ms);
    return steps() - before;
  }
  /** Returns how many steps a change causes at once. */
  function stepsOf(change: () => void): number {
    const before = steps();
    change();
    return steps() - before;
  }
  const wake = (): number => stepsOf(() => task.wake());

  it('takes one step after the other while there is data', () => {
    follower.chunks = 5;
    expect(wake()).toBe(5);
  });

  it('checks four more times for new data, and then relies on inotify', () => {
    follower.chunks = 1;
    expect(wake()).toBe(1);
    expect([stepsIn(25), stepsIn(25), stepsIn(25)]).toEqual([1, 1, 1]);
    expect(armed).not.toHaveBeenCalled();
    // A write just before the watch was set up causes no event, so there is one more check.
    expect(stepsIn(25)).toBe(2);
    expect(armed).toHaveBeenCalledTimes(1);
    expect(stepsIn(119_000)).toBe(0);
    expect(stepsIn(1_000)).toBe(1);
  });

  it('starts to count fruitless checks again after new data', () => {
    expect(wake()).toBe(1);
    expect([stepsIn(25), stepsIn(25)]).toEqual([1, 1]);
    follower.chunks = 1;
    expect([stepsIn(25), stepsIn(25), stepsIn(25), stepsIn(25)]).toEqual([1, 1, 1, 1]);
    expect(armed).not.toHaveBeenCalled();
    stepsIn(25);
    expect(armed).toHaveBeenCalledTimes(1);
  });

  function untilWatched(): void {
    wake();
    for (let looks = 0; looks < 5; looks++) jest.advanceTimersByTime(25);
    expect(armed).toHaveBeenCalledTimes(1);
  }

  it('checks once for an event, and by a timer when events come fast', () => {
    untilWatched();
    jest.advanceTimersByTime(1_000);
    expect(stepsOf(event)).toBe(1);
    expect(stepsIn(200)).toBe(0);
    expect(stepsOf(event)).toBe(1);
    expect(stepsOf(event)).toBe(1);
    // The fruitless checks are counted from here on.
    expect([stepsIn(25), stepsIn(25)]).toEqual([1, 1]);
    expect(armed).toHaveBeenCalledTimes(1);
    expect(stepsIn(25)).toBe(2);
    expect(armed).toHaveBeenCalledTimes(2);
  });

  it('checks every second if no watch is possible', () => {
    canWatch = false;
    expect(wake()).toBe(1);
    expect(stepsIn(75)).toBe(3);
    expect(armed).toHaveBeenCalledTimes(1);
    expect([stepsIn(999), stepsIn(1)]).toEqual([0, 1]);
  });

  it('closes its files once there is nothing to save, and not before', () => {
    follower.dueIn = 300;
    untilWatched();
    expect(follower.calls).not.toContain('release');
    follower.dueIn = undefined;
    expect(stepsIn(300)).toBe(1);
    expect(follower.calls.at(-1)).toBe('release');
  });

  it('retries after an error at growing intervals, and starts with the shortest after a success', () => {
    const waits = (count: number): number[] =>
      Array.from({ length: count }, () => {
        for (let ms = 1; ; ms++) if (stepsIn(1) > 0) return ms;
      });
    follower.failure = new Error('EIO');
    wake();
    expect(waits(7)).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect([said, stats.stalls]).toEqual([['Cannot write a container log; retrying'], 1]);
    follower.failure = undefined;
    stepsIn(5_000);
    expect(said).toEqual(['Cannot write a container log; retrying', 'Container log is written again']);
    said.length = 0;
    follower.failure = new Error('EIO');
    wake();
    expect(waits(2)).toEqual([250, 500]);
    expect([said, stats.stalls]).toEqual([['Cannot write a container log; retrying'], 2]);
  });

  describe('a drain', () => {
    beforeEach(() => (queue.isHeld = true));

    /** Returns whether each drain has ended. Work that is due now is done first. */
    async function ended(...drains: Promise<void>[]): Promise<boolean[]> {
      const states = drains.map(() => false);
      drains.forEach((drain, index) => void drain.then(() => (states[index] = true)));
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      return states;
    }

    it('ends when the contents of the spool are copied, without what came later', async () => {
      follower.chunks = 1;
      const first = task.drain();
      follower.chunks = 3;
      const second = task.drain();
      task.turn();
      expect(await ended(first, second)).toEqual([true, false]);
      task.turn();
      expect(await ended(second)).toEqual([false]);
      task.turn();
      expect(await ended(second)).toEqual([true]);
    });

    it('saves the position at the end, and only if somebody waits', async () => {
      follower.chunks = 2;
      const drain = task.drain();
      task.turn();
      expect(follower.calls).toEqual(['step']);
      task.turn();
      expect(follower.calls).toEqual(['step', 'step', 'commit']);
      await drain;
      task.turn();
      expect(follower.calls).toEqual(['step', 'step', 'commit', 'step']);
    });

    it('waits for the end of the spool if its size could not be read', async () => {
      follower.hasSpool = false;
      follower.chunks = 2;
      const drain = task.drain();
      task.turn();
      expect(await ended(drain)).toEqual([false]);
      task.turn();
      expect(await ended(drain)).toEqual([true]);
    });

    it('ends when a step fails or the task stops, and at once after the stop', async () => {
      follower.failure = new Error('EIO');
      const failed = task.drain();
      task.turn();
      expect(await ended(failed)).toEqual([true]);
      follower.failure = undefined;
      follower.chunks = 5;
      const stopped = task.drain();
      task.stop();
      expect(await ended(stopped, task.drain())).toEqual([true, true]);
      expect(stepsIn(200_000)).toBe(0);
      expect(task.turn()).toBe(false);
    });
  });

  it('saves its position before it closes its files for another task, and throws no error', () => {
    task.letGo();
    expect(follower.calls).toEqual(['commit', 'release']);
    follower.commit = () => {
      throw new Error('EIO');
    };
    expect(() => task.letGo()).not.toThrow();
  });
});
