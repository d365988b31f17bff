/** A word that is more changes away than this counts as a different word. */
const mostChanges = (word: string): number => Math.max(2, Math.floor(word.length / 4));

/** What somebody who wrote `word` most likely meant: the known word that takes the fewest changes; undefined when all are far. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((candidate) => ({ candidate, changes: changesBetween(plain(word), plain(candidate)) }))
    .filter(({ changes }) => changes <= mostChanges(word))
    .sort((a, b) => a.changes - b.changes);
  return best?.candidate;
}

/** `logLevel`, `log_level` and `LOG-LEVEL` are the same word, spelled by the habits of different programs. */
function plain(word: string): string {
  return word.replace(/[-_.]/g, '').toLowerCase();
}

/** Letters to put in, take out, replace or swap with their neighbour (optimal string alignment). */
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
