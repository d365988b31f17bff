const GAP = '  ';

/** Formats rows in aligned columns, without padding the last column. Returns '' when there are no rows. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  // A loop is used because a tape may have hundreds of thousands of rows, which are too many arguments for Math.max.
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
      );
      return `${cells.join(GAP)}\n`;
    })
    .join('');
}
