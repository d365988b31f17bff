import { RuntimeError, type ErrorCode } from '../../../src/lib/errors';

/**
 * Returns the error of `work` as `CODE message`, for `toMatch` and table rows. Fails if `work` throws no
 * RuntimeError.
 */
export function thrownBy(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return described(error);
  }
  throw new Error('nothing was thrown');
}

/** Returns the error of a rejected promise as `CODE message`. Fails if it is not a RuntimeError. */
export async function rejectionOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return described(error);
  }
  throw new Error('the promise was not rejected');
}

/** Returns the code and field path of a RuntimeError: `INVALID_ARGUMENT config.metadata`. */
export function codeAndField(work: () => unknown): string {
  return thrownBy(work).replace(/:.*$/s, '');
}

export function isCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof RuntimeError && error.code === code;
}

function described(error: unknown): string {
  if (error instanceof RuntimeError) return `${error.code} ${error.message}`;
  throw error;
}
