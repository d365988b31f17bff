import type { Comparison } from '../compare/comparison';
import { nameOf } from '../compare/rule';

/** All of a comparison for programs; docs/harness.md has the fields. */
export function renderJson(comparison: Comparison): string {
  const rules = comparison.rules.map(({ rule, isActive, met, needed }) => ({
    ...{ rule: nameOf(rule), path: rule.path, as: rule.as, because: rule.because, isActive, met, needed },
  }));
  const { a, b, differences, allowed, hidden, calls } = comparison;
  return `${printable(JSON.stringify({ a, b, differences, allowed, hidden, calls, rules }, null, 2))}\n`;
}

/** JSON leaves the control characters beyond ASCII as they are, and some terminals obey those too. */
function printable(json: string): string {
  return json.replace(
    /[\x7f-\x9f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
