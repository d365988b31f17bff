import { Worker } from 'node:worker_threads';
import { deadlineExceeded, messageOf, RuntimeError, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerLogs, LogPlace, LogSource } from './container-logs';
import { emptyLogStats, type LogStats } from './log-stats';
import type { WorkerCall, WorkerLogLine, WorkerMessage, WorkerReply, WorkerRequest } from './worker-protocol';

const CALL_DEADLINE_MS = 30_000;
const RESTART_FIRST_MS = 100;
const RESTART_MOST_MS = 10_000;
/** The worker's own heap stays at some MiB (its buffers are outside); a leak must not take the node down. */
const WORKER_HEAP_MB = 128;

export interface WorkerLogsOptions {
  readonly stateDir: string;
  readonly logger: Logger;
  /** The compiled worker-entry.js. */
  readonly entry: string;
}

interface Pending {
  readonly call: WorkerCall;
  readonly resolve: (reply: WorkerReply) => void;
  readonly reject: (error: RuntimeError) => void;
  readonly deadline: NodeJS.Timeout;
}

/**
 * The followers in a worker thread. A worker that dies is replaced: it goes on from the saved positions, follows
 * again what was followed, and open calls (all of them may be repeated) are made again.
 */
export class WorkerLogs implements ContainerLogs {
  private readonly followed = new Map<string, LogSource>();
  private readonly pending = new Map<number, Pending>();
  private worker: Worker | undefined;
  private restartTimer: NodeJS.Timeout | undefined;
  private restartMs = RESTART_FIRST_MS;
  private nextId = 1;
  private closing: Promise<void> | undefined;

  constructor(private readonly options: WorkerLogsOptions) {
    this.start();
  }

  async follow(source: LogSource): Promise<void> {
    this.followed.set(source.containerId, source);
    await this.call({ method: 'follow', source });
  }

  async drain(containerId: string): Promise<void> {
    try {
      await this.call({ method: 'drain', containerId });
    } catch (error) {
      this.options.logger.error('container log not drained', {
        container: containerId,
        error: messageOf(error),
      });
    }
  }

  async salvage(source: LogSource): Promise<void> {
    await this.call({ method: 'salvage', source });
  }

  async note(place: LogPlace, text: string): Promise<void> {
    await this.call({ method: 'note', place, text });
  }

  async reopen(containerId: string): Promise<void> {
    await this.call({ method: 'reopen', containerId });
  }

  async forget(containerId: string): Promise<void> {
    this.followed.delete(containerId);
    await this.call({ method: 'forget', containerId });
  }

  async retain(containerIds: ReadonlySet<string>): Promise<void> {
    for (const id of this.followed.keys()) if (!containerIds.has(id)) this.followed.delete(id);
    await this.call({ method: 'retain', containerIds });
  }

  async stats(): Promise<LogStats> {
    return (await this.call({ method: 'stats' })).stats ?? emptyLogStats();
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    try {
      await this.call({ method: 'close' });
    } catch (error) {
      this.options.logger.warn('log worker did not close in order', { error: messageOf(error) });
    }
    const { worker } = this;
    this.worker = undefined;
    clearTimeout(this.restartTimer);
    for (const id of [...this.pending.keys()]) this.finish(id)?.reject(unavailable('the logs are closed'));
    await worker?.terminate();
  }

  private call(call: WorkerCall): Promise<WorkerReply> {
    if (this.closing !== undefined && call.method !== 'close')
      return Promise.reject(unavailable('the logs are closed'));
    return new Promise((resolve, reject) => {
      const id = this.nextId++;
      const deadline = setTimeout(() => {
        this.finish(id)?.reject(deadlineExceeded(`the log worker did not answer ${call.method} in time`));
      }, CALL_DEADLINE_MS);
      this.pending.set(id, { call, resolve, reject, deadline });
      this.post({ ...call, id });
    });
  }

  private post(request: WorkerRequest): void {
    this.worker?.postMessage(request);
  }

  private start(): void {
    const { entry, stateDir, logger } = this.options;
    const worker = new Worker(entry, {
      name: 'dockbridge-logs',
      workerData: { stateDir },
      resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
    });
    this.worker = worker;
    worker.on('message', (message: WorkerMessage) => this.receive(message));
    worker.on('error', (error) => logger.error('log worker failed', { error: messageOf(error) }));
    worker.on('exit', () => {
      if (this.worker !== worker) return;
      if (this.closing === undefined) this.restart();
      // Its own end after close, or a fault on the way there: positions are saved all along, so nothing waits for it.
      else
        for (const id of [...this.pending.keys()])
          this.finish(id)?.reject(unavailable('the log worker ended'));
    });
  }

  private restart(): void {
    this.worker = undefined;
    this.options.logger.error('log worker ended; starting another', { inMs: this.restartMs });
    this.restartTimer = setTimeout(() => {
      this.start();
      for (const source of this.followed.values()) this.post({ method: 'follow', source, id: 0 });
      for (const [id, { call }] of this.pending) this.post({ ...call, id });
    }, this.restartMs);
    this.restartMs = Math.min(this.restartMs * 2, RESTART_MOST_MS);
  }

  private receive(message: WorkerMessage): void {
    if (message.kind === 'log') {
      this.log(message);
      return;
    }
    const pending = this.finish(message.id);
    this.restartMs = RESTART_FIRST_MS;
    if (message.error === undefined) pending?.resolve(message);
    else pending?.reject(new RuntimeError(message.error.code, message.error.message));
  }

  private finish(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    clearTimeout(pending?.deadline);
    return pending;
  }

  private log({ level, message, fields }: WorkerLogLine): void {
    const { logger } = this.options;
    if (level === 'error' || level === 'warn' || level === 'info') logger[level](message, fields);
  }
}
