import { finished, type Writable } from 'node:stream';
import { LONGEST_TIMER_MS, sharedAbortController } from '../../lib/async/deadline';
import { pause } from '../../lib/async/abortable';
import type { ClientStreams } from '../backend';

/** A connected client of exec or attach, with any of the protocols. */
export interface CommandClient extends ClientStreams {
  /**
   * Ends all streams and the connection; the outcome is sent after all output. Resolves when the connection is closed.
   * Never rejects.
   */
  finish(outcome: Outcome): Promise<void>;
}

/** How long a client may take to close the connection after everything was sent to it. */
export const LINGER_MS = 2_000;

/** How long a stalled client may take to read why it is dropped. */
export const REASON_MS = 30_000;

/**
 * Returns a signal that fires with the first of two signals. Both signals belong to the same connection and end with it, so
 * their listeners need not be removed.
 */
export function firstOf(one: AbortSignal, other: AbortSignal): AbortSignal {
  const first = sharedAbortController();
  for (const signal of [one, other]) {
    signal.addEventListener('abort', () => first.abort(signal.reason), { once: true });
    if (signal.aborted) first.abort(signal.reason);
  }
  return first.signal;
}

/** Ends a stream. Resolves when the last byte was sent or the stream is closed. */
export async function ended(stream: Writable | undefined): Promise<void> {
  if (stream === undefined) return;
  await new Promise<void>((resolve) => {
    finished(stream, { readable: false }, () => resolve());
    stream.end();
  });
}

/**
 * Ends the outputs before the outcome is sent, so that no output is missing. The outputs are cut off if the client has
 * stalled, or if the session has failed and the outputs do not end in time.
 */
export async function endOutputs(
  outputs: readonly (Writable | undefined)[],
  outcome: Outcome,
  stalled: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const giveUp = (): void => over.abort();
  stalled.addEventListener('abort', giveUp, { once: true });
  if (stalled.aborted) giveUp();
  const timer = outcome.kind === 'failed' ? setTimeout(giveUp, LINGER_MS) : undefined;
  try {
    await Promise.race([Promise.all(outputs.map(ended)), pause(LONGEST_TIMER_MS, over.signal)]);
  } finally {
    clearTimeout(timer);
    stalled.removeEventListener('abort', giveUp);
    over.abort();
  }
  for (const output of outputs) if (output?.writableFinished === false) output.destroy();
}

/** Like `ended`, but gives up after half a minute. A stalled client can read the reason in that time. */
export async function endedSoon(stream: Writable | undefined): Promise<void> {
  const over = new AbortController();
  await Promise.race([ended(stream), pause(REASON_MS, over.signal)]);
  over.abort();
}

/** How a session ended, as reported to its client. */
export type Outcome =
  | { readonly kind: 'exited'; readonly code: number }
  | {
      readonly kind: 'failed';
      readonly message: string;
      /** Whether the client was dropped because it did not read its output. */
      readonly dropped?: boolean;
    };

/**
 * Returns the content of the error stream. From version 4 on, it is always a Kubernetes `Status` as JSON. In earlier
 * versions, it is plain text, and '' if there is no error.
 */
export function statusText(outcome: Outcome, version: number): string {
  if (version < 4) return plainText(outcome);
  if (outcome.kind === 'failed') {
    return JSON.stringify({
      metadata: {},
      status: 'Failure',
      reason: 'InternalError',
      message: outcome.message,
      code: 500,
    });
  }
  if (outcome.code === 0) return JSON.stringify({ metadata: {}, status: 'Success' });
  return JSON.stringify({
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: plainText(outcome),
    details: { causes: [{ reason: 'ExitCode', message: String(outcome.code) }] },
  });
}

function plainText(outcome: Outcome): string {
  if (outcome.kind === 'failed') return outcome.message;
  return outcome.code === 0 ? '' : `the command ended with exit code ${outcome.code}`;
}
