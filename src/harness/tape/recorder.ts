import type { Worker } from 'node:worker_threads';
import { deadlineExceeded, failedPrecondition, messageOf } from '../../lib/errors';
import { waitAtMost } from '../../lib/async/deadline';
import { startWorker, type StartWorker } from '../../lib/worker-rpc';
import type { SpentReport } from '../proxy/overhead';
import { ENTRY_BYTES, isOwnLine, weightOf, type Entry, type TapeBytes } from './entry';
import type { Failed, FromTape, TapeWork } from './worker-protocol';

/** The memory of entries that may wait for the disk. Further entries are lost, and the tape contains their number. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** A batch of entries is sent to the thread after this time, or when it has this size. */
const BATCH_MS = 20;
const BATCH_BYTES = 1024 * 1024;
/** The time to write the waiting entries when the recording ends. If the disk takes longer, the rest is lost. */
const FINISH_MS = 30_000;
/** The time for the thread to end. The thread hangs in the kernel if the disk hangs. */
const TERMINATE_MS = 1_000;
const HEAP_MB = 512;

export interface RecorderOptions extends TapeWork {
  /** Called when a problem with the disk begins, changes or ends, and when bytes cannot be read. */
  readonly warn: (text: string) => void;
  readonly startWorker?: StartWorker | undefined;
  readonly maxWaitingBytes?: number;
  readonly finishMs?: number;
}

export interface Finished {
  /** The number of entries that are not on the tape. */
  readonly lost: number;
  /** The size of the file; 0 if it is not known. */
  readonly bytes: number;
  /** Whether nothing is missing and the last line is on the disk. */
  readonly isWhole: boolean;
}

type End = Pick<Finished, 'bytes' | 'isWhole'>;
const NO_END: End = { bytes: 0, isWhole: false };
const BEHIND = 'the disk is too slow, and lines are being lost';

/**
 * Sends entries to the tape's thread. `write` takes almost no time, because the thread decodes and writes the entries. Entries for which
 * there is no room are counted and dropped.
 */
export class Recorder {
  readonly #began = performance.now();
  readonly #worker: Worker;
  readonly #options: RecorderOptions;
  #batch: Entry[] = [];
  #batchBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiting = 0;
  /** The number of lines that the thread has not processed yet. */
  #untaken = 0;
  #lost = 0;
  #lostUntold = 0;
  #calls = 0;
  #foundCalls = 0;
  #unread = 0;
  #spent: SpentReport | undefined;
  #isEnding = false;
  #isBroken = false;
  #trouble = '';
  #onTaken: () => void = () => undefined;
  #onFinished: (end: End) => void = () => undefined;

  private constructor(worker: Worker, options: RecorderOptions) {
    this.#worker = worker;
    this.#options = options;
    worker.on('message', (message: FromTape) => this.#hear(message));
    worker.on('error', (error) => this.#break(messageOf(error)));
    worker.on('exit', () => this.#break('its thread ended'));
  }

  /** Starts the thread and creates the tape. @throws FAILED_PRECONDITION if the file exists or cannot be created. */
  static async open(entry: string, options: RecorderOptions): Promise<Recorder> {
    const { file, header, full } = options;
    const worker = (options.startWorker ?? startWorker)(entry, {
      name: 'dockbridge-tape',
      workerData: { file, header, full } satisfies TapeWork,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(failedPrecondition(`cannot write the tape: ${why}`));
      worker.once('message', (message: FromTape) => {
        if ('refused' in message) fail(message.refused);
        else resolve();
      });
      worker.once('error', (error) => fail(messageOf(error)));
    });
    return new Recorder(worker, options);
  }

  /** Returns the seconds since the recording began. */
  now(): number {
    return (performance.now() - this.#began) / 1000;
  }

  nextCall(): number {
    return ++this.#calls;
  }

  /** The number of calls so far, including those that the thread has reported to have found in bytes. */
  get calls(): number {
    return this.#calls + this.#foundCalls;
  }

  /** How long the calls that the thread found spent in the proxy; undefined until the end of the tape. */
  get spent(): SpentReport | undefined {
    return this.#spent;
  }

  /** Writes an entry. Never waits and never throws. For `wire` entries, `takes` has already checked that there is room. */
  write(entry: Entry): void {
    const isFull = entry.kind !== 'wire' && !this.#hasRoom(weightOf(entry));
    if (this.#isBroken || this.#isEnding || isFull) {
      this.lose(1);
      return;
    }
    this.#tellLosses(entry.t);
    this.#push(entry);
  }

  /** Returns whether there is room for a `wire` entry of this many bytes. */
  takes(bytes: number): boolean {
    if (this.#isBroken || this.#isEnding) return false;
    if (this.#hasRoom(bytes + ENTRY_BYTES)) return true;
    this.#behind();
    return false;
  }

  #hasRoom(weight: number): boolean {
    return this.#waiting + weight <= (this.#options.maxWaitingBytes ?? MAX_WAITING_BYTES);
  }

  /** Writes the waiting entries and the last line, and gives up after 30 s. Entries that are written later are lost. */
  async finish(): Promise<Finished> {
    this.#isEnding = true;
    const limit = this.#options.finishMs ?? FINISH_MS;
    const { bytes, isWhole } = await waitAtMost('The end of the tape', limit, this.#end()).catch(() => {
      this.#options.warn(deadlineExceeded(`the end of the tape was not written within ${limit} ms`).message);
      return NO_END;
    });
    this.#isBroken = true;
    await waitAtMost('The end of the thread', TERMINATE_MS, this.#worker.terminate()).catch(() => undefined);
    const lost = this.#lost + this.#untaken + this.#unread;
    return { lost, bytes, isWhole: isWhole && lost === 0 };
  }

  /** The last line contains the number of all losses, so it is written after the thread has reported on all other lines. */
  async #end(): Promise<End> {
    this.#post();
    if (this.#waiting > 0 && !this.#isBroken) await new Promise<void>((resolve) => (this.#onTaken = resolve));
    if (this.#isBroken) return NO_END;
    const finished = new Promise<End>((resolve) => (this.#onFinished = resolve));
    const t = this.now();
    this.#tellLosses(t);
    this.#push({ kind: 'finish', t, calls: this.#calls, lost: this.#lost });
    this.#post();
    return finished;
  }

  #tellLosses(t: number): void {
    if (this.#lostUntold === 0) return;
    this.#push({ kind: 'lost', t, lost: this.#lostUntold });
    this.#lostUntold = 0;
  }

  /** Adds an entry to the batch. Entries are sent in batches, because sending each one separately would take longer than the calls themselves. */
  #push(entry: Entry): void {
    const weight = weightOf(entry);
    this.#waiting += weight;
    this.#batchBytes += weight;
    if (isOwnLine(entry)) this.#untaken++;
    this.#batch.push(entry);
    // A `wire` entry is a batch already, so it is sent at once.
    if (entry.kind === 'wire' || this.#batchBytes > BATCH_BYTES) this.#post();
    else if (this.#batch.length === 1) this.#timer = setTimeout(() => this.#post(), BATCH_MS);
  }

  #post(): void {
    clearTimeout(this.#timer);
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    if (batch.length > 0) this.#worker.postMessage(batch, batch.flatMap(transferable));
  }

  #hear(message: FromTape): void {
    if ('finished' in message) {
      // The thread ends now, and its exit is not a problem.
      this.#isBroken = true;
      this.#unread = message.unread ?? 0;
      this.#spent = message.spent;
      this.#onFinished(message);
    }
    if (!('taken' in message)) return;
    this.#waiting -= message.taken;
    this.#untaken -= message.lines;
    this.#foundCalls = message.calls ?? 0;
    message.problems?.forEach((problem) => this.#options.warn(problem));
    this.#account(message.failed);
    if (this.#waiting === 0) this.#onTaken();
  }

  #account(failed: Failed | undefined): void {
    if (failed === undefined) {
      this.#say('');
      return;
    }
    this.#say(`the tape cannot be written: ${failed.why}`);
    this.lose(failed.lines);
    this.#lostUntold += failed.untold;
  }

  /** Counts lines that will not be on the tape. The next line that is written reports them. */
  lose(count: number): void {
    this.#lost += count;
    this.#lostUntold += count;
    if (!this.#isBroken && !this.#isEnding) this.#behind();
  }

  #behind(): void {
    if (this.#trouble === '') this.#say(BEHIND);
  }

  /** Warns if the problem has changed. @param trouble '' for none. */
  #say(trouble: string): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.warn(trouble === '' ? 'the tape is being written again' : trouble);
  }

  #break(why: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#onTaken();
    this.#onFinished(NO_END);
    this.#options.warn(`the tape has ended early: ${why}`);
  }
}

function transferable(entry: Entry): ArrayBuffer[] {
  if (entry.kind === 'wire') return [entry.bytes.buffer as ArrayBuffer];
  const held: (TapeBytes | undefined)[] = [
    entry.kind === 'begin' ? entry.request : undefined,
    entry.kind === 'message' ? entry.message : undefined,
    entry.kind === 'end' ? entry.response : undefined,
  ];
  return held.flatMap((one) => (one?.bytes === undefined ? [] : [one.bytes.buffer as ArrayBuffer]));
}
