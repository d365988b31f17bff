import type { InventoryReport } from '../report';

/** The report for programs; docs/migrating.md has the fields. */
export function renderJson(report: InventoryReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
