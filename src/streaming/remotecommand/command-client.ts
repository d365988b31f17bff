import { finished, type Writable } from 'node:stream';
import { LONGEST_TIMER_MS } from '../../lib/async/deadline';
import { pause } from '../../lib/async/pause';
import type { ClientStreams } from '../backend';

/** A connected client of exec or attach, whichever protocol it speaks. */
export interface CommandClient extends ClientStreams {
  /** Ends all streams, output before outcome, and the connection; resolves when it is gone. Never rejects. */
  finish(outcome: Outcome): Promise<void>;
}

/** How long a client that was told everything may take to close the connection itself. */
export const LINGER_MS = 2_000;

/** How long a client that took nothing may take to read why it is let go. */
export const REASON_MS = 30_000;

/** Ends the stream; resolves when the last byte has left or nobody takes it any more. */
export async function ended(stream: Writable | undefined): Promise<void> {
  if (stream === undefined) return;
  await new Promise<void>((resolve) => {
    finished(stream, { readable: false }, () => resolve());
    stream.end();
  });
}

/**
 * Ends the outputs before the outcome is told, so that none is missing. A client that is waited for no longer (it has
 * stalled, or the session has failed and some time has passed) is spared the rest: they are cut.
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

/** As `ended`, but for a client that takes nothing it is over after a while: half a minute for it to read why. */
export async function endedSoon(stream: Writable | undefined): Promise<void> {
  const over = new AbortController();
  await Promise.race([ended(stream), pause(REASON_MS, over.signal)]);
  over.abort();
}

/** How a session ended, for its client. */
export type Outcome =
  | { readonly kind: 'exited'; readonly code: number }
  | {
      readonly kind: 'failed';
      readonly message: string;
      /** The client itself was the reason: it did not take what was there for it. */
      readonly dropped?: boolean;
    };

/**
 * What the error stream says: since version 4 a Kubernetes `Status` as JSON, always; before, text and only when there
 * is something to complain about ('' = nothing).
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
