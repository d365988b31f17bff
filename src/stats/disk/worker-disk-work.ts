import type { Worker } from 'node:worker_threads';
import { waitAtMost } from '../../lib/async/deadline';
import { internal, messageOf, RuntimeError, unavailable } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { PendingCalls, startWorker, type Reply, type StartWorker } from '../../lib/worker-rpc';
import type { DiskWork, Measured, OpenFiles } from './disk-work';
import type { DiskAnswer, DiskCall } from './worker-entry';

/** Inodes of hard-linked files are remembered during a walk; little else is. */
const HEAP_MB = 128;
/** Most unanswered requests: four times as many as one scrape makes at once. Callers that gave up count, as the thread does not know. */
const MAX_PENDING = 256;
/** A thread in a system call that hangs (a dead network disk) cannot be ended. */
const TERMINATE_MS = 2_000;

/** What tests replace; production passes nothing. */
export interface DiskWorkOverrides {
  readonly maxPending?: number;
  readonly terminateMs?: number;
  readonly startWorker?: StartWorker;
}

/** The work in a thread of its own, which is started with the first request and anew after it died. */
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
    if (openFiles === undefined) throw internal('the disk worker did not count');
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
      // The next call tries again.
      return Promise.reject(unavailable(`cannot start a thread to measure disks: ${messageOf(error)}`));
    }
    return this.calls.make(call, (request) => worker.postMessage(request));
  }

  private start(): Worker {
    const worker = (this.overrides.startWorker ?? startWorker)(this.entry, {
      name: 'dockbridge-disk',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    // Nothing is lost with it: it must not keep the process alive.
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
