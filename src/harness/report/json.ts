import type { Comparison } from '../compare/comparison';
import { nameOf } from '../compare/rule';

/** Returns a complete comparison as JSON (docs/harness.md). */
export function renderJson(comparison: Comparison): string {
  const rules = comparison.rules.map(({ rule, isActive, met, needed }) => ({
    ...{ rule: nameOf(rule), path: rule.path, as: rule.as, because: rule.because, isActive, met, needed },
  }));
  const { a, b, differences, allowed, hidden, calls } = comparison;
  return `${printable(JSON.stringify({ a, b, differences, allowed, hidden, calls, rules }, null, 2))}\n`;
}

/** Escapes the control characters from U+007F to U+009F. JSON.stringify does not, and some terminals obey them. */
function printable(json: string): string {
  return json.replace(
    /[\x7f-\x9f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
