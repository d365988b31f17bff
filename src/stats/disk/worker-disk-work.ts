import type { Worker } from 'node:worker_threads';
import { waitAtMost } from '../../lib/async/deadline';
import { internal, messageOf, RuntimeError, unavailable } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { PendingCalls, startWorker, type Reply, type StartWorker } from '../../lib/worker-rpc';
import type { DiskWork, Measured, OpenFiles } from './disk-work';
import type { DiskAnswer, DiskCall } from './worker-entry';

/** Heap limit of the thread in MiB. A walk remembers the inodes of hard-linked files, and little else. */
const HEAP_MB = 128;
/**
 * The largest number of unanswered requests: four times as many as one scrape makes at once. Requests whose callers gave up
 * count too, because the thread does not know that they gave up.
 */
const MAX_PENDING = 256;
/** Milliseconds to wait for the thread's end. A thread in a hanging system call (a dead network disk) cannot be ended. */
const TERMINATE_MS = 2_000;

/** The parts that tests replace; production passes nothing. */
export interface DiskWorkOverrides {
  readonly maxPending?: number;
  readonly terminateMs?: number;
  readonly startWorker?: StartWorker;
}

/** Does the work in a thread of its own. The thread is started for the first request, and again after it has died. */
export class WorkerDiskWork implements DiskWork {
  private readonly calls = new PendingCalls<DiskCall, DiskAnswer>();
  private worker: Worker | undefined;
  private closed = false;

  constructor(
    private readonly entry: string,
    private readonly logger: Logger,
    private readonly overrides: DiskWorkOverrides = {},
  ) {}

  async measure(directory: string): Promise<Measured | undefined> {
    return (await this.call({ method: 'measure', directory })).measured;
  }

  async openFiles(pids: readonly number[]): Promise<OpenFiles> {
    const { openFiles } = await this.call({ method: 'openFiles', pids });
    if (openFiles === undefined) throw internal('the disk worker returned no counts');
    return openFiles;
  }

  async close(): Promise<void> {
    this.closed = true;
    const ended = this.worker?.terminate();
    this.calls.reject(unavailable('the disk worker is closed'));
    if (ended === undefined) return;
    await waitAtMost('The end of the disk worker', this.overrides.terminateMs ?? TERMINATE_MS, ended).catch(
      (error: unknown) => this.logger.warn('The disk worker is stuck', { error: messageOf(error) }),
    );
  }

  private call(call: DiskCall): Promise<DiskAnswer> {
    if (this.closed) return Promise.reject(unavailable('the disk worker is closed'));
    if (this.calls.size >= (this.overrides.maxPending ?? MAX_PENDING))
      return Promise.reject(new RuntimeError('RESOURCE_EXHAUSTED', 'the disk worker does not keep up'));
    let worker: Worker;
    try {
      worker = this.worker ??= this.start();
    } catch (error) {
      // The next call tries again to start a thread.
      return Promise.reject(unavailable(`cannot start a thread to measure disks: ${messageOf(error)}`));
    }
    return this.calls.make(call, (request) => worker.postMessage(request));
  }

  private start(): Worker {
    const worker = (this.overrides.startWorker ?? startWorker)(this.entry, {
      name: 'dockbridge-disk',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    // The thread must not keep the process alive, because nothing is lost when it ends.
    worker.unref();
    worker.on('message', (reply: Reply<DiskAnswer>) => this.calls.settle(reply));
    worker.on('error', (error) => this.logger.error('The disk worker failed', { error: messageOf(error) }));
    worker.on('exit', () => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      this.calls.reject(unavailable('the disk worker ended'));
    });
    return worker;
  }
}
