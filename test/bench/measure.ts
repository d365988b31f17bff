/** Prints a line of a bench to the terminal without jest's frame. */
export const print = (line: string): void => void process.stdout.write(`${line}\n`);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** @returns the duration in ms. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
