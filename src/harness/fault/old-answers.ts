import { createHash } from 'node:crypto';
import type { Answer } from '../proxy/relay';

/** The limit for the memory of all old answers together. */
const MAX_BYTES = 64 * 1024 * 1024;
/** The approximate memory of an answer without its data: the key, the header fields and the objects around them. */
const ENTRY_BYTES = 2 * 1024;

interface Old {
  readonly key: string;
  readonly at: number;
  readonly answer: Answer;
}

/** Keeps earlier answers, for the fault `stale`. */
export class OldAnswers {
  #all: Old[] = [];
  #bytes = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  keep(path: string, body: Buffer, answer: Answer): void {
    this.#all.push({ key: keyOf(path, body), at: this.now(), answer });
    this.#bytes += sizeOf(answer);
    let dropped = 0;
    for (const old of this.#all) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#bytes -= sizeOf(old.answer);
      dropped++;
    }
    if (dropped > 0) this.#all.splice(0, dropped);
  }

  /**
   * Returns the newest answer to the same request that is at least `ms` old. If none is that old, returns the oldest answer; undefined if
   * there is none.
   */
  asOf(path: string, body: Buffer, ms: number): Answer | undefined {
    const key = keyOf(path, body);
    const same = this.#all.filter((old) => old.key === key);
    const then = this.now() - ms;
    return (same.findLast(({ at }) => at <= then) ?? same[0])?.answer;
  }
}

function sizeOf({ data }: Answer): number {
  return data.length + ENTRY_BYTES;
}

function keyOf(path: string, body: Buffer): string {
  return `${path} ${createHash('sha256').update(body).digest('hex')}`;
}
