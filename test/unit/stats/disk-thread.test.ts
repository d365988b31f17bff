import { EventEmitter } from 'node:events';
import type { Worker, WorkerOptions } from 'node:worker_threads';
import { silentLogger } from '../../../src/lib/logger';
import type { Request } from '../../../src/lib/worker-rpc';
import { WorkerDiskWork, type DiskWorkOverrides } from '../../../src/stats/disk/worker-disk-work';
import type { DiskCall } from '../../../src/stats/disk/worker-entry';
import { rejectionOf } from '../support/errors';

/** A thread as its starter sees it. */
class FakeWorker extends EventEmitter {
  readonly posted: Request<DiskCall>[] = [];
  isReferenced = true;
  ended: Promise<number> = Promise.resolve(1);
  terminated = 0;

  postMessage(request: Request<DiskCall>): void {
    this.posted.push(request);
  }
  unref(): void {
    this.isReferenced = false;
  }
  terminate(): Promise<number> {
    this.terminated++;
    return this.ended;
  }
}

describe('the thread that measures disks', () => {
  let workers: FakeWorker[];
  let started: [entry: string, options: WorkerOptions][];
  let warn: jest.Mock;
  const open = (more: DiskWorkOverrides = {}): WorkerDiskWork => {
    [workers, started, warn] = [[], [], jest.fn()];
    return new WorkerDiskWork(
      '/entry.js',
      { ...silentLogger, warn },
      {
        startWorker: (entry, options) => {
          started.push([entry, options]);
          const worker = new FakeWorker();
          workers.push(worker);
          return worker as EventEmitter as Worker;
        },
        ...more,
      },
    );
  };

  it('is started by the first call for all later ones, and keeps no process alive', async () => {
    const work = open();
    expect(workers).toEqual([]);
    const [measured, counted] = [work.measure('/a'), work.openFiles([1, 2])];
    expect(started).toEqual([
      ['/entry.js', { name: 'dockbridge-disk', resourceLimits: { maxOldGenerationSizeMb: 128 } }],
    ]);
    const [worker] = workers;
    expect([worker!.isReferenced, worker!.posted]).toEqual([
      false,
      [
        { id: 1, call: { method: 'measure', directory: '/a' } },
        { id: 2, call: { method: 'openFiles', pids: [1, 2] } },
      ],
    ]);
    worker!.emit('message', { id: 2, answer: { openFiles: { files: 3, sockets: 4 } } });
    worker!.emit('message', { id: 1, answer: { measured: { bytes: 5, inodes: 6, busyMs: 7 } } });
    expect([await measured, await counted]).toEqual([
      { bytes: 5, inodes: 6, busyMs: 7 },
      { files: 3, sockets: 4 },
    ]);
    const wrong = work.openFiles([1]);
    worker!.emit('message', { id: 3, answer: {} });
    expect(await rejectionOf(wrong)).toBe('INTERNAL the disk worker returned no counts');
    await work.close();
    expect([worker!.terminated, warn.mock.calls]).toEqual([1, []]);
  });

  it('is started again after it died, and its pending calls fail', async () => {
    const work = open();
    const lost = rejectionOf(work.measure('/a'));
    workers[0]!.emit('error', new Error('out of memory'));
    workers[0]!.emit('exit', 1);
    expect(await lost).toBe('UNAVAILABLE the disk worker ended');
    const next = work.measure('/b');
    // Messages of an earlier thread do not matter.
    workers[0]!.emit('exit', 1);
    workers[1]!.emit('message', { id: 2, answer: {} });
    expect([await next, workers.length]).toEqual([undefined, 2]);
    await work.close();
    expect(workers.map(({ terminated }) => terminated)).toEqual([0, 1]);
  });

  it('may fail to start, and then the next call tries again', async () => {
    let fails = true;
    const work = open({
      startWorker: () => {
        if (fails) throw new Error('EAGAIN');
        const worker = new FakeWorker();
        workers.push(worker);
        return worker as EventEmitter as Worker;
      },
    });
    expect(await rejectionOf(work.measure('/a'))).toBe(
      'UNAVAILABLE cannot start a thread to measure disks: EAGAIN',
    );
    fails = false;
    const next = work.measure('/a');
    workers[0]!.emit('message', { id: 1, answer: {} });
    expect(await next).toBeUndefined();
    await work.close();
  });

  it('limits the number of calls, and accepts new ones when earlier ones are answered', async () => {
    const work = open({ maxPending: 2 });
    const first = [work.measure('/a'), work.measure('/b')];
    expect(await rejectionOf(work.measure('/c'))).toBe('RESOURCE_EXHAUSTED the disk worker does not keep up');
    workers[0]!.emit('message', { id: 1, answer: {} });
    await first[0];
    const last = work.measure('/d');
    for (const id of [2, 3]) workers[0]!.emit('message', { id, answer: {} });
    await Promise.all([first[1], last]);
    await work.close();
  });

  it('is awaited for two seconds if it is stuck at the end, which is logged, and later calls fail at once', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const work = open();
      const lost = rejectionOf(work.measure('/a'));
      workers[0]!.ended = new Promise(() => undefined);
      let isClosed = false;
      const closed = work.close().then(() => (isClosed = true));
      expect(await lost).toBe('UNAVAILABLE the disk worker is closed');
      await jest.advanceTimersByTimeAsync(1_999);
      expect([isClosed, warn.mock.calls.length]).toEqual([false, 0]);
      await jest.advanceTimersByTimeAsync(1);
      await closed;
      expect(warn).toHaveBeenCalledTimes(1);
      expect(jest.getTimerCount()).toBe(0);
      expect(await rejectionOf(work.measure('/a'))).toBe('UNAVAILABLE the disk worker is closed');
      expect(workers).toHaveLength(1);
    } finally {
      jest.useRealTimers();
    }
  });

  it('need not exist for a close', async () => {
    await open().close();
    expect(workers).toEqual([]);
  });
});
