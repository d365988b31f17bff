import { Worker } from 'node:worker_threads';
import { waitAtMost } from '../../lib/async/deadline';
import { internal, messageOf, RuntimeError, unavailable } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { DiskWork, Measured, OpenFiles } from './disk-work';
import type { DiskCall, DiskReply } from './worker-protocol';

/** Inodes of hard-linked files are remembered during a walk; little else is. */
const HEAP_MB = 128;
/** Unanswered requests; four times as many as one scrape makes at once. Callers that gave up count: the thread does not know. */
const MAX_PENDING = 256;
/** A thread in a system call that hangs (a dead network disk) cannot be ended. */
const TERMINATE_MS = 2_000;

interface Pending {
  readonly resolve: (reply: DiskReply) => void;
  readonly reject: (error: Error) => void;
}

/** The work in a thread of its own, which is started with the first request and anew after it died. */
export class WorkerDiskWork implements DiskWork {
  private readonly pending = new Map<number, Pending>();
  private worker: Worker | undefined;
  private nextId = 1;
  private closed = false;

  constructor(
    private readonly entry: string,
    private readonly logger: Logger,
    private readonly maxPending = MAX_PENDING,
    private readonly terminateMs = TERMINATE_MS,
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
    this.fail('the disk worker is closed');
    if (ended === undefined) return;
    await waitAtMost('The end of the disk worker', this.terminateMs, ended).catch((error: unknown) =>
      this.logger.warn('The disk worker is stuck', { error: messageOf(error) }),
    );
  }

  private call(call: DiskCall): Promise<DiskReply> {
    if (this.closed) return Promise.reject(unavailable('the disk worker is closed'));
    if (this.pending.size >= this.maxPending)
      return Promise.reject(new RuntimeError('RESOURCE_EXHAUSTED', 'the disk worker does not keep up'));
    let worker: Worker;
    try {
      worker = this.worker ??= this.start();
    } catch (error) {
      // The next call tries again.
      return Promise.reject(unavailable(`no thread can be had to measure disks: ${messageOf(error)}`));
    }
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      worker.postMessage({ ...call, id });
    });
  }

  private start(): Worker {
    const worker = new Worker(this.entry, {
      name: 'dockbridge-disk',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    // Nothing is lost with it: it must not keep the process alive.
    worker.unref();
    worker.on('message', (reply: DiskReply) => {
      const pending = this.pending.get(reply.id);
      this.pending.delete(reply.id);
      if (reply.error === undefined) pending?.resolve(reply);
      else pending?.reject(internal(reply.error));
    });
    worker.on('error', (error) => this.logger.error('disk worker failed', { error: messageOf(error) }));
    worker.on('exit', () => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      this.fail('the disk worker ended');
    });
    return worker;
  }

  private fail(why: string): void {
    for (const { reject } of this.pending.values()) reject(unavailable(why));
    this.pending.clear();
  }
}
