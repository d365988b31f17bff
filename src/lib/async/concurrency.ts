/** Runs `work` over all items, at most `limit` at a time; rejects with the first error after all have settled. */
export async function forEachLimited<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const all = [...items];
  await drawLimited(all.values(), Math.min(limit, all.length), work);
}

/** Like forEachLimited, but takes the next item from the iterator only when there is room for it. */
export async function drawLimited<T>(
  rest: IterableIterator<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  const worker = async (): Promise<void> => {
    // All workers share one iterator.
    for (const item of rest) {
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (errors.length > 0) throw errors[0];
}

/** Like Promise.all, but rejects only after all have settled, so that no work goes on unnoticed. */
export async function allSettled<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Like Array.map, with at most `limit` calls at a time; rejects as forEachLimited does. */
export async function mapLimited<T, R>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  await forEachLimited([...items].entries(), limit, async ([at, item]) => {
    results[at] = await work(item);
  });
  return results;
}
