import type { Worker } from 'node:worker_threads';
import { deadlineExceeded, failedPrecondition, messageOf } from '../../lib/errors';
import { waitAtMost } from '../../lib/async/deadline';
import { startWorker, type StartWorker } from '../../lib/worker-rpc';
import type { SpentReport } from '../proxy/overhead';
import { ENTRY_BYTES, isOwnLine, weightOf, type Entry, type TapeBytes } from './entry';
import type { Failed, FromTape, TapeWork } from './worker-protocol';

/** What may wait for the disk. Beyond that entries are lost, and the tape says how many. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** How long entries are gathered, and how many bytes of them. */
const BATCH_MS = 20;
const BATCH_BYTES = 1024 * 1024;
/** Time to write what waits when the recording ends. If the disk takes longer, the rest is lost. */
const FINISH_MS = 30_000;
/** Time for the thread to end, which hangs in the kernel if the disk does. */
const TERMINATE_MS = 1_000;
const HEAP_MB = 512;

export interface RecorderOptions extends TapeWork {
  /** Called once for each kind of trouble with the disk, and once when it is over. */
  readonly warn: (text: string) => void;
  readonly startWorker?: StartWorker | undefined;
  readonly maxWaitingBytes?: number;
  readonly finishMs?: number;
}

export interface Finished {
  /** Entries that are not in the tape. */
  readonly lost: number;
  /** Size of the file; 0 if its end is not known. */
  readonly bytes: number;
  /** Whether nothing is missing, and the last line is on the disk too. */
  readonly isWhole: boolean;
}

type End = Pick<Finished, 'bytes' | 'isWhole'>;
const NO_END: End = { bytes: 0, isWhole: false };
const BEHIND = 'the disk does not keep up: lines are lost';

/**
 * The way to the tape. `write` takes almost no time, because a thread decodes and writes the entries. Entries that it does not
 * take in time are counted and dropped.
 */
export class Recorder {
  readonly #began = performance.now();
  readonly #worker: Worker;
  readonly #options: RecorderOptions;
  #batch: Entry[] = [];
  #batchBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiting = 0;
  /** Lines that the thread has not taken yet. */
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

  /** @throws FAILED_PRECONDITION when the file cannot be made, or exists. */
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

  /** Seconds since the recording began. */
  now(): number {
    return (performance.now() - this.#began) / 1000;
  }

  nextCall(): number {
    return ++this.#calls;
  }

  /** Calls of this tape, as far as its thread has told of those that it found in what passed. */
  get calls(): number {
    return this.#calls + this.#foundCalls;
  }

  /** How long the calls that the thread found were in the proxy; undefined until the end of the tape. */
  get spent(): SpentReport | undefined {
    return this.#spent;
  }

  /** Never waits and never throws. What passed on connections was gathered because there was room for it (`takes`). */
  write(entry: Entry): void {
    const isFull = entry.kind !== 'wire' && !this.#hasRoom(weightOf(entry));
    if (this.#isBroken || this.#isEnding || isFull) {
      this.lose(1);
      return;
    }
    this.#tellLosses(entry.t);
    this.#push(entry);
  }

  /** Whether a `wire` entry of so many bytes can be written now. */
  takes(bytes: number): boolean {
    if (this.#isBroken || this.#isEnding) return false;
    if (this.#hasRoom(bytes + ENTRY_BYTES)) return true;
    this.#behind();
    return false;
  }

  #hasRoom(weight: number): boolean {
    return this.#waiting + weight <= (this.#options.maxWaitingBytes ?? MAX_WAITING_BYTES);
  }

  /** Writes what waits and the last line; gives up after 30 s. Entries that come later are lost. */
  async finish(): Promise<Finished> {
    this.#isEnding = true;
    const limit = this.#options.finishMs ?? FINISH_MS;
    const { bytes, isWhole } = await waitAtMost('The end of the tape', limit, this.#end()).catch(() => {
      this.#options.warn(
        deadlineExceeded(`the disk has not taken the tape's end within ${limit} ms`).message,
      );
      return NO_END;
    });
    this.#isBroken = true;
    await waitAtMost('The end of the thread', TERMINATE_MS, this.#worker.terminate()).catch(() => undefined);
    const lost = this.#lost + this.#untaken + this.#unread;
    return { lost, bytes, isWhole: isWhole && lost === 0 };
  }

  /** The last line counts all losses, so it is written once the thread has reported on all other lines. */
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

  /** Entries go to the thread together: handing over one by one would take longer than the calls that they are about. */
  #push(entry: Entry): void {
    const weight = weightOf(entry);
    this.#waiting += weight;
    this.#batchBytes += weight;
    if (isOwnLine(entry)) this.#untaken++;
    this.#batch.push(entry);
    // A batch already.
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
      // The thread ends now, which is no trouble.
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

  /** So many lines will not be in the tape, which the next one tells. */
  lose(count: number): void {
    this.#lost += count;
    this.#lostUntold += count;
    if (!this.#isBroken && !this.#isEnding) this.#behind();
  }

  #behind(): void {
    if (this.#trouble === '') this.#say(BEHIND);
  }

  /** @param trouble '' for none. */
  #say(trouble: string): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.warn(trouble === '' ? 'the tape is written again' : trouble);
  }

  #break(why: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#onTaken();
    this.#onFinished(NO_END);
    this.#options.warn(`the tape has ended: ${why}`);
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
