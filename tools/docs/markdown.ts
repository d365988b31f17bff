/** Returns a Markdown table in Prettier's format. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], fill: string): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |\n`;
  const [first = [], ...rest] = cells;
  return [
    line(first, ' '),
    line(
      head.map(() => ''),
      '-',
    ),
    ...rest.map((row) => line(row, ' ')),
  ].join('');
}
