import { deadlineExceeded } from './errors';

/**
 * Runs `work` with a signal that fires after `ms` or when `parent` does, whichever comes first. The timer and the
 * listener are gone when the work ends: AbortSignal.any and AbortSignal.timeout would keep both until they fire.
 */
export async function withDeadline<T>(
  what: string,
  ms: number,
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  parent?.throwIfAborted();
  const controller = new AbortController();
  const onParent = (): void => controller.abort(parent?.reason);
  parent?.addEventListener('abort', onParent, { once: true });
  const timer = setTimeout(
    () => controller.abort(deadlineExceeded(`${what} took longer than ${ms} ms`)),
    // setTimeout fires at once above 2^31-1 ms.
    Math.min(ms, 2 ** 31 - 1),
  );
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    parent?.removeEventListener('abort', onParent);
  }
}
