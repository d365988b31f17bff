/** Settles like `promise`, or rejects with the signal's reason when the signal fires first. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    // Nobody awaits the promise anymore, so its rejection must not count as unhandled.
    promise.catch(() => undefined);
    throw signal.reason;
  }
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Resolves after `ms` or as soon as the signal fires. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Rejects with the first rejection among promises that never resolve. */
export function firstEnd(...ends: Promise<never>[]): Promise<never> {
  const end = Promise.race(ends);
  // The caller may race this promise against others and ignore it when another settles first, so its rejection must not count
  // as unhandled.
  end.catch(() => undefined);
  return end;
}
