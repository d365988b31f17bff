import type { Socket } from 'node:net';
import { RuntimeError } from '../lib/errors';
import { Refusal } from './upgrade';

export interface PlaceLimits {
  readonly all: number;
  /** Limit for one container or pod. It keeps one of them from using all places. */
  readonly each: number;
}

export const PLACE_LIMITS: PlaceLimits = { all: 500, each: 100 };

/** Counts the open sessions, in total and for each container or pod. */
export class Places {
  private all = 0;
  private readonly counts = new Map<string, number>();

  constructor(private readonly limits: PlaceLimits) {}

  /**
   * Runs a session in a place of its own.
   * @throws Refusal if there is no free place.
   */
  async take(target: string, session: () => Promise<void>): Promise<void> {
    const count = this.counts.get(target) ?? 0;
    if (this.all >= this.limits.all)
      throw new Refusal(503, `${this.all} streaming sessions are open, which is the limit`);
    if (count >= this.limits.each)
      throw new Refusal(503, `${count} streaming sessions are open to ${target}, which is the limit`);
    this.all++;
    this.counts.set(target, count + 1);
    try {
      await session();
    } finally {
      this.all--;
      const left = (this.counts.get(target) ?? 1) - 1;
      if (left > 0) this.counts.set(target, left);
      else this.counts.delete(target);
    }
  }
}

/** How many checks are made within the time limit. The number determines the precision of the limit. */
const LOOKS = 10;

/**
 * Returns a signal that fires when bytes wait for the peer and the peer has read none of them for `limitMs`. A slow peer
 * does not count as stalled. The socket is destroyed `lastWordsMs` later, so that the peer can read the reason.
 */
export function watchStall(socket: Socket, limitMs: number, lastWordsMs: number): AbortSignal {
  const stalled = new AbortController();
  let taken = -1;
  let looks = 0;
  let lastWords: NodeJS.Timeout | undefined;
  const look = (): void => {
    const now = socket.bytesWritten - socket.writableLength;
    looks = socket.writableLength === 0 || now !== taken ? 0 : looks + 1;
    taken = now;
    if (looks < LOOKS) return;
    clearInterval(watch);
    lastWords = setTimeout(() => socket.destroy(), lastWordsMs);
    stalled.abort(
      new RuntimeError('RESOURCE_EXHAUSTED', `the client has read nothing for ${limitMs / 1000} s`),
    );
  };
  const watch = setInterval(look, limitMs / LOOKS);
  socket.once('close', () => {
    clearInterval(watch);
    clearTimeout(lastWords);
  });
  return stalled.signal;
}
