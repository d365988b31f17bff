import type { Worker } from 'node:worker_threads';
import { deadlineExceeded, failedPrecondition, messageOf } from '../../lib/errors';
import { waitAtMost } from '../../lib/async/deadline';
import { startWorker, type StartWorker } from '../../lib/worker-rpc';
import { weightOf, type Entry, type TapeBytes } from './entry';
import type { FromTape, TapeWork } from './worker-protocol';

/** What may wait for the disk. Beyond that entries are lost, and the tape says how many. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** How long entries are gathered, and how many bytes of them. */
const BATCH_MS = 20;
const BATCH_BYTES = 1024 * 1024;
/** For what waits when the recording ends. A disk that takes longer keeps the rest from the tape. */
const FINISH_MS = 30_000;
const HEAP_MB = 512;

export interface RecorderOptions extends TapeWork {
  /** Told once for each kind of trouble with the disk, and once when it is over. */
  readonly warn: (text: string) => void;
  readonly startWorker?: StartWorker | undefined;
  readonly maxWaitingBytes?: number;
  readonly finishMs?: number;
}

export interface Finished {
  /** Entries that are not in the tape. */
  readonly lost: number;
  readonly bytes: number;
}

/**
 * The way to the tape. `write` takes no time worth speaking of: entries are decoded and written in a thread of their own, and what
 * that does not take in time is counted and dropped.
 */
export class Recorder {
  readonly #began = performance.now();
  readonly #worker: Worker;
  readonly #options: RecorderOptions;
  #batch: Entry[] = [];
  #batchBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiting = 0;
  #lost = 0;
  #lostUntold = 0;
  #calls = 0;
  #isBroken = false;
  #trouble = '';
  #onFinished: (bytes: number) => void = () => undefined;

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

  /** Never waits and never throws. */
  write(entry: Entry): void {
    const weight = weightOf(entry);
    if (this.#isBroken || this.#waiting + weight > (this.#options.maxWaitingBytes ?? MAX_WAITING_BYTES)) {
      this.#lose(1);
      return;
    }
    if (this.#lostUntold > 0) {
      this.#push({ kind: 'lost', t: entry.t, lost: this.#lostUntold });
      this.#lostUntold = 0;
    }
    this.#push(entry);
  }

  /** Writes what waits and the last line; gives up after 30 s. */
  async finish(): Promise<Finished> {
    let bytes = 0;
    if (!this.#isBroken) {
      const finished = new Promise<number>((resolve) => (this.#onFinished = resolve));
      this.#push({ kind: 'finish', t: this.now(), calls: this.#calls, lost: this.#lost });
      this.#post();
      const limit = this.#options.finishMs ?? FINISH_MS;
      bytes = await waitAtMost('The end of the tape', limit, finished).catch(() => {
        this.#options.warn(
          deadlineExceeded(`the disk has not taken the tape's end within ${limit} ms`).message,
        );
        return 0;
      });
    }
    this.#isBroken = true;
    await this.#worker.terminate();
    return { lost: this.#lost, bytes };
  }

  /** Entries go to the thread together: handing over one by one would take longer than the calls that they are about. */
  #push(entry: Entry): void {
    const weight = weightOf(entry);
    this.#waiting += weight;
    this.#batchBytes += weight;
    this.#batch.push(entry);
    if (this.#batch.length === 1) this.#timer = setTimeout(() => this.#post(), BATCH_MS);
    else if (this.#batchBytes > BATCH_BYTES) this.#post();
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
      this.#onFinished(message.bytes);
    }
    if (!('taken' in message)) return;
    this.#waiting -= message.taken;
    const { failed } = message;
    if (failed === undefined) {
      this.#say('');
      return;
    }
    this.#say(`the tape cannot be written: ${failed.why}`);
    this.#lose(failed.lines);
  }

  #lose(count: number): void {
    this.#lost += count;
    this.#lostUntold += count;
    if (!this.#isBroken)
      this.#say(this.#trouble === '' ? 'the disk does not keep up: lines are lost' : this.#trouble);
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
    this.#onFinished(0);
    this.#options.warn(`the tape has ended: ${why}`);
  }
}

function transferable(entry: Entry): ArrayBuffer[] {
  const held: (TapeBytes | undefined)[] = [
    entry.kind === 'begin' ? entry.request : undefined,
    entry.kind === 'message' ? entry.message : undefined,
    entry.kind === 'end' ? entry.response : undefined,
  ];
  return held.flatMap((one) => (one?.bytes === undefined ? [] : [one.bytes.buffer as ArrayBuffer]));
}
