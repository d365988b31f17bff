const GAP = '  ';

/** Lays rows out in aligned columns, without padding the last one. Returns '' for no rows. */
export function columns(rows: readonly (readonly string[])[]): string {
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell.padEnd(width(column)),
      );
      return `${cells.join(GAP)}\n`;
    })
    .join('');
}
