import { setTimeout as pause } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { deadlineExceeded, internal, messageOf, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NOBODY_WAITS, PendingCalls, startWorker, type Request, type StartWorker } from '../lib/worker-rpc';
import {
  emptyLogStats,
  type ContainerLogs,
  type LogPlace,
  type LogSource,
  type LogTrouble,
  type RelinkedLog,
  type LogStats,
} from './container-logs';
import { ALL_POSITIONS, HANG_TIMES, HangWatch, WorkMarker, type HangTimes } from './hang-watch';
import type { WorkerAnswer, WorkerCall, WorkerLogLine, WorkerMessage, WorkerSettings } from './worker-entry';

const CALL_DEADLINE_MS = 30_000;
/**
 * The time in ms that the worker may take to close. A longer wait is not worthwhile, because positions are saved continuously.
 * After a worker that did not end properly, the next one only has to read the last lines again.
 */
const CLOSE_MS = 5_000;
const TERMINATE_MS = 1_000;
/** If this many threads hang, each on the log of a different container, no more threads are started. */
const MOST_HUNG = 4;
const RESTART_FIRST_MS = 100;
const RESTART_MOST_MS = 10_000;
/** After this many workers in a row that ended soon after their start, calls fail at once until one answers. */
const MOST_ENDS = 3;
/** A worker that has answered and has lived for this many milliseconds counts as healthy. */
const STEADY_MS = 60_000;
/**
 * The worker needs only a few MiB of heap, because its buffers are outside it. The limit keeps a leak from taking the node
 * down.
 */
const WORKER_HEAP_MB = 128;

const NO_ANSWER = "the file system of the container's log does not answer";

export interface WorkerLogsOptions {
  readonly stateDir: string;
  /** Whether to continue immediately where an earlier process stopped; true by default. */
  readonly resume?: boolean;
  readonly logger: Logger;
  /** Path of the compiled module worker-entry. */
  readonly entry: string;
  readonly overrides?: WorkerLogsOverrides;
}

/** The parts that tests replace; production passes nothing. */
export interface WorkerLogsOverrides {
  readonly hangTimes?: HangTimes;
  readonly startWorker?: StartWorker;
}

/**
 * Copies all logs in a worker thread. A worker that dies is replaced. The new worker continues from the saved positions and
 * follows the same logs, and open calls are sent again, because every call may be repeated. A worker that hangs on the log of a
 * container is replaced too. That log is set aside until the hanging call has ended, so that late effects of the call are
 * noticed and undone.
 */
export class WorkerLogs implements ContainerLogs {
  private readonly followed = new Map<string, LogSource>();
  private readonly calls = new PendingCalls<WorkerCall, WorkerAnswer>();
  private worker: Worker | undefined;
  /** Why no thread can be started (TasksMax, a pids cgroup, memory); '' as long as one can. */
  private threadless = '';
  private watch: HangWatch | undefined;
  /** Workers that were replaced but whose file call has not ended, each with the container whose log it hangs on. */
  private readonly hung = new Map<Worker, string>();
  private restartTimer: NodeJS.Timeout | undefined;
  private restartMs = RESTART_FIRST_MS;
  /** How many consecutive workers ended soon after their start, and the error of the last of them. */
  private ends = 0;
  private lastError = '';
  private bornAt = 0;
  private hasAnswered = false;
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
      this.options.logger.error('Cannot complete the log of an ended container', {
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

  async handOver(source: LogSource): Promise<RelinkedLog> {
    const { relinked } = await this.call({ method: 'handOver', source });
    // A worker that replaces this one must not follow this log again.
    this.followed.delete(source.containerId);
    if (relinked === undefined) throw internal('the log worker did not report the result of the hand-over');
    return relinked;
  }

  async retain(containerIds: ReadonlySet<string>): Promise<void> {
    for (const id of this.followed.keys()) if (!containerIds.has(id)) this.followed.delete(id);
    await this.call({ method: 'retain', containerIds });
  }

  /** A problem that an operator should know about; undefined when there is none. */
  get trouble(): LogTrouble | undefined {
    const without = this.threadless || this.whyNoneLives;
    if (without !== '') return { reason: 'LogsWithoutThread', message: without };
    return this.hung.size === 0 ? undefined : { reason: 'LogsHang', message: this.hangMessage };
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
      this.options.logger.warn('The log worker did not close cleanly', { error: messageOf(error) });
    }
    const { worker } = this;
    this.worker = undefined;
    clearTimeout(this.restartTimer);
    this.threadless = '';
    this.rejectAll('the logs are closed');
    this.watch?.stop();
    // A thread that hangs in a file call does not end before the call returns.
    const ended = worker?.terminate();
    if (ended !== undefined) await Promise.race([ended, pause(TERMINATE_MS, undefined, { ref: false })]);
  }

  private call(call: WorkerCall): Promise<WorkerAnswer> {
    if (this.closing !== undefined && call.method !== 'close')
      return Promise.reject(unavailable('the logs are closed'));
    if (this.isSetAside(call)) return Promise.reject(unavailable(NO_ANSWER));
    // Once a thread can be started again, it follows all logs again. Callers do not wait until then.
    const { whyNone } = this;
    if (whyNone !== '') return Promise.reject(unavailable(whyNone));
    return this.calls.make(call, (request) => this.post(request), {
      ms: call.method === 'close' ? CLOSE_MS : CALL_DEADLINE_MS,
      error: () => deadlineExceeded(`the log worker did not answer ${call.method} in time`),
    });
  }

  private post(request: Request<WorkerCall>): void {
    this.worker?.postMessage(request);
  }

  /** Sends a call without waiting for its answer. */
  private tell(call: WorkerCall): void {
    this.post({ id: NOBODY_WAITS, call });
  }

  private start(): void {
    const { entry, stateDir, resume = true, logger } = this.options;
    const marker = new WorkMarker();
    const setAside = [...this.hung.values()];
    const settings: WorkerSettings = { stateDir, resume, marker: marker.memory, setAside };
    let worker: Worker;
    try {
      worker = (this.options.overrides?.startWorker ?? startWorker)(entry, {
        name: 'dockbridge-logs',
        workerData: settings,
        resourceLimits: { maxOldGenerationSizeMb: WORKER_HEAP_MB },
      });
    } catch (error) {
      this.goWithout(messageOf(error));
      return;
    }
    if (this.threadless !== '') logger.info('The log worker runs again; logs are catching up');
    this.threadless = '';
    this.bornAt = performance.now();
    this.hasAnswered = false;
    this.worker = worker;
    this.watch = new HangWatch(marker, this.options.overrides?.hangTimes ?? HANG_TIMES, (containerId) => {
      marker.dismiss();
      this.abandon(worker, containerId);
    });
    worker.on('message', (message: WorkerMessage) => {
      if (this.worker === worker) this.receive(message);
    });
    worker.on('error', (error) => {
      this.lastError = messageOf(error);
      logger.error('The log worker failed', { error: this.lastError });
    });
    worker.on('exit', () => this.ended(worker));
  }

  private ended(worker: Worker): void {
    const containerId = this.hung.get(worker);
    if (containerId !== undefined) {
      this.hung.delete(worker);
      this.answersAgain(containerId);
      return;
    }
    if (this.worker !== worker) return;
    this.watch?.stop();
    if (this.isSteady) {
      this.ends = 0;
      this.restartMs = RESTART_FIRST_MS;
    }
    this.ends++;
    this.hasAnswered = false;
    if (this.closing === undefined) this.restart();
    // The worker has ended after `close`, or it failed while closing. Positions are saved continuously, so no other worker is
    // needed.
    else this.rejectAll('the log worker ended');
  }

  /**
   * Replaces a worker that hangs in a file call. Nothing can end the call, and after the call returns the worker does nothing
   * more.
   */
  private abandon(worker: Worker, containerId: string): void {
    const { logger, stateDir } = this.options;
    if (containerId === ALL_POSITIONS)
      logger.error('The file system of the state directory hangs; another log worker tries again', {
        stateDir,
      });
    else
      logger.error('The file system of a container log hangs; another log worker takes over the other logs', {
        container: containerId,
        logPath: this.followed.get(containerId)?.logPath,
      });
    this.hung.set(worker, containerId);
    this.worker = undefined;
    void worker.terminate();
    this.calls.reject(unavailable(NO_ANSWER), (call) => this.isSetAside(call));
    if (this.hung.size < MOST_HUNG && this.closing === undefined) this.startAgain();
    else this.rejectAll(this.hangMessage);
  }

  private answersAgain(containerId: string): void {
    if (this.closing !== undefined) return;
    if (containerId === ALL_POSITIONS) this.options.logger.info('The state directory answers again');
    else this.options.logger.info('Container log is written again', { container: containerId });
    const source = this.followed.get(containerId);
    if (this.worker === undefined) {
      if (this.restartTimer === undefined) this.startAgain();
    } else if (source !== undefined && !this.isHung(containerId)) {
      this.tell({ method: 'follow', source });
    }
  }

  /** Why no worker can answer until something outside dockbridge changes; '' when a worker answers or soon will. */
  private get whyNone(): string {
    if (this.threadless !== '') return this.threadless;
    if (!this.hasAnswered && this.whyNoneLives !== '') return this.whyNoneLives;
    return this.worker === undefined && this.hung.size >= MOST_HUNG ? this.hangMessage : '';
  }

  private get isSteady(): boolean {
    return this.hasAnswered && performance.now() - this.bornAt >= STEADY_MS;
  }

  /** Why each worker ends soon after its start; '' when workers keep running. */
  private get whyNoneLives(): string {
    if (this.ends < MOST_ENDS || this.isSteady) return '';
    return `the thread of container logs keeps ending (${this.lastError}): check the disk of the state directory and the memory of the node; the logs catch up once a thread keeps running`;
  }

  private get hangMessage(): string {
    const places = [...new Set(this.hung.values())]
      .map((id) => (id === ALL_POSITIONS ? 'the state directory' : `container ${id.slice(0, 12)}`))
      .join(', ');
    const rest = this.hung.size < MOST_HUNG ? '' : '; no log is written until one of them answers';
    return `the file system of a container's log does not answer (${places})${rest}`;
  }

  private rejectAll(reason: string): void {
    this.calls.reject(unavailable(reason));
  }

  private isSetAside(call: WorkerCall): boolean {
    if (call.method === 'follow' || call.method === 'salvage' || call.method === 'handOver')
      return this.isHung(call.source.containerId);
    if (call.method === 'note') return this.isHung(call.place.containerId);
    return (call.method === 'drain' || call.method === 'reopen') && this.isHung(call.containerId);
  }

  private isHung(containerId: string): boolean {
    return [...this.hung.values()].includes(containerId);
  }

  /** Logs once that no thread can be started, rejects the calls that wait, and tries again until one starts. */
  private goWithout(error: string): void {
    const isFirst = this.threadless === '';
    this.threadless = `cannot start a thread for container logs (${error}): raise TasksMax= of the service or the limit of pids; the logs then catch up`;
    if (isFirst) this.options.logger.error('Container logs are not written', { reason: this.threadless });
    this.rejectAll(this.threadless);
    this.startLater();
  }

  private restart(): void {
    this.options.logger.error('The log worker ended; starting another', { inMs: this.restartMs });
    const { whyNone } = this;
    if (this.ends === MOST_ENDS)
      this.options.logger.error('Container logs are not written', { reason: whyNone });
    if (whyNone !== '') this.rejectAll(whyNone);
    this.startLater();
  }

  private startLater(): void {
    this.worker = undefined;
    this.restartTimer = setTimeout(() => {
      this.restartTimer = undefined;
      this.startAgain();
    }, this.restartMs);
    this.restartMs = Math.min(this.restartMs * 2, RESTART_MOST_MS);
  }

  private startAgain(): void {
    this.start();
    for (const source of this.followed.values())
      if (!this.isHung(source.containerId)) this.tell({ method: 'follow', source });
    for (const request of this.calls.requests()) this.post(request);
    // Any answer shows that this worker lives.
    if (this.ends >= MOST_ENDS) this.tell({ method: 'stats' });
  }

  private receive(message: WorkerMessage): void {
    if ('level' in message) {
      this.log(message);
      return;
    }
    this.hasAnswered = true;
    this.calls.settle(message);
  }

  private log({ level, message, fields }: WorkerLogLine): void {
    const { logger } = this.options;
    if (level === 'error' || level === 'warn' || level === 'info') logger[level](message, fields);
  }
}
