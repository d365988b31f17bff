import { finished, type Writable } from 'node:stream';
import type { ClientStreams } from '../backend';
import type { Outcome } from './status';

/** A connected client of exec or attach, whichever protocol it speaks. */
export interface CommandClient extends ClientStreams {
  /** Ends all streams, output before outcome, and the connection; resolves when it is gone. Never rejects. */
  finish(outcome: Outcome): Promise<void>;
}

/** How long a client that was told everything may take to close the connection itself. */
export const LINGER_MS = 2_000;

/** Ends the stream; resolves when the last byte has left or nobody takes it any more. */
export async function ended(stream: Writable | undefined): Promise<void> {
  if (stream === undefined) return;
  await new Promise<void>((resolve) => {
    finished(stream, { readable: false }, () => resolve());
    stream.end();
  });
}
