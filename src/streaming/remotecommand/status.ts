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
