import type { Socket } from 'node:net';
import { RuntimeError } from '../lib/errors';

/** Looks in a limit: how exact it is. */
const LOOKS = 10;

/**
 * A signal that fires when bytes wait for the peer and it has taken none of them for `limitMs`; a slow one is not
 * stalled. `lastWordsMs` later, for the peer to read why, the socket is destroyed.
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
