/** The largest number of changes between two spellings. A word with more changes counts as a different word. */
const mostChanges = (word: string): number => Math.max(2, Math.floor(word.length / 4));

/**
 * Returns the word that somebody who wrote `word` most likely meant. This is the known word with the fewest changes; undefined
 * when all known words are too different.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((candidate) => ({ candidate, changes: changesBetween(plain(word), plain(candidate)) }))
    .filter(({ changes }) => changes <= mostChanges(word))
    .sort((a, b) => a.changes - b.changes);
  return best?.candidate;
}

/**
 * Normalizes a word, so that `logLevel`, `log_level` and `LOG-LEVEL` count as the same. Programs spell names in different ways.
 */
function plain(word: string): string {
  return word.replace(/[-_.]/g, '').toLowerCase();
}

/**
 * Returns the number of letters that must be inserted, removed, replaced or swapped with their neighbour (optimal string
 * alignment).
 */
function changesBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (last[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const least = Math.min(replaced, (last[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1);
      const isSwapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      next.push(row > 1 && column > 1 && isSwapped ? Math.min(least, (before[column - 2] ?? 0) + 1) : least);
    }
    [before, last] = [last, next];
  }
  return last[b.length] ?? 0;
}
