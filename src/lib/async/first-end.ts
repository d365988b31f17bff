/** Rejects with the first of some that only ever reject. */
export function firstEnd(...ends: Promise<never>[]): Promise<never> {
  const end = Promise.race(ends);
  // Also watched by a race that may have been decided already.
  end.catch(() => undefined);
  return end;
}
