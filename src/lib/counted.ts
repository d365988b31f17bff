/**
 * Returns a count with its noun in the right number, such as `1 pod` or `2 pods`.
 * @param many the words for every count but 1. The default is `one` with an "s".
 */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
