import { setMaxListeners } from 'node:events';
import { deadlineExceeded } from '../errors';
import { abortable } from './abortable';

/** The longest delay of setTimeout in ms. It fires immediately for longer delays. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Makes an abort controller whose signal many calls may share. For other signals, Node treats more than ten listeners as a leak
 * and prints a warning.
 */
export function sharedAbortController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/**
 * Runs `work` with a signal that fires after `ms` or when `parent` fires, whichever comes first. Removes the timer and the
 * listener when the work ends. AbortSignal.any and AbortSignal.timeout would keep both until they fire.
 */
export async function withDeadline<T>(
  what: string,
  ms: number,
  parent: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  parent?.throwIfAborted();
  const controller = sharedAbortController();
  const onParent = (): void => controller.abort(parent?.reason);
  parent?.addEventListener('abort', onParent, { once: true });
  const timer = setTimeout(
    () => controller.abort(deadlineExceeded(`${what} took longer than ${ms} ms`)),
    Math.min(ms, LONGEST_TIMER_MS),
  );
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    parent?.removeEventListener('abort', onParent);
  }
}

/** Like withDeadline, for work that is running already and cannot be ended. Only the wait for it ends. */
export async function waitAtMost<T>(
  what: string,
  ms: number,
  work: Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  // The work may fail before anybody waits for it, or after the last caller has stopped waiting. Its rejection must not count
  // as unhandled.
  work.catch(() => undefined);
  return withDeadline(what, ms, parent, (signal) => abortable(work, signal));
}
