import type { Json } from '../../proto/fields';
import type { ComparedCall, ComparedSide, Comparison, RuleUse } from '../compare/comparison';
import { counted } from '../../lib/counted';
import { nameOf } from '../compare/rule';
import { BASE, isShipped } from '../compare/rules';

/** Longer values are cut off in reports. The JSON output contains them in full. */
const MAX_VALUE = 200;

/** Returns a value on one line. */
export function shownValue(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

/** Returns the pod, container or image that a call is about, such as `default/web-0 main`. */
export function aboutOf({ pod, container, image }: ComparedCall): string {
  return [pod, container, image].filter((part) => part !== undefined).join(' ');
}

/** Returns a title such as `CreateContainer default/web-0 main`. From the second such call on, it ends with a number such as `#2`. */
export function titleOf(call: ComparedCall): string {
  const times = call.occurrence === 0 ? [] : [`#${call.occurrence + 1}`];
  return [call.method, aboutOf(call), ...times].filter((part) => part !== '').join(' ');
}

export function sideText({ source, runtime: { name, version } }: ComparedSide): string {
  const runtime = `${name} ${version}`.trim();
  return `${source} (${runtime === '' ? 'unknown runtime' : runtime})`;
}

/**
 * Returns the rules that were not needed: a line for each rule of the user, and one line for all rules of a runtime that apply to its
 * version. The base rules are left out, because they apply to any two runtimes and no run needs all of them.
 */
export function idleRules({ rules }: Comparison): readonly string[] {
  const idle = rules.filter(({ rule, needed }) => rule.source !== BASE && needed === 0);
  const users = idle.filter(({ rule }) => !isShipped(rule));
  const shipped = idle.filter(({ rule, isActive }) => isShipped(rule) && isActive);
  const sources = [...new Set(shipped.map(({ rule }) => rule.source))];
  return [
    ...users.map((use) => `${nameOf(use.rule)} (${use.rule.path}) ${idleBecause(use)}`),
    ...sources.map((source) => {
      const paths = shipped.filter(({ rule }) => rule.source === source).map(({ rule }) => rule.path);
      return `rules for ${source}: ${[...new Set(paths)].join(', ')}`;
    }),
  ];
}

function idleBecause({ met, isActive }: RuleUse): string {
  if (!isActive) return 'does not apply to these runtimes';
  if (met === 0) return 'matched nothing';
  return `matched ${counted(met, 'value')} but was not needed for any of them`;
}

/** Returns the totals of a comparison on one line. */
export function sumOf({ calls, differences, allowed, hidden }: Comparison): string {
  const differing = calls.filter((call) => call.differences.length > 0).length;
  return [
    `${counted(differences, 'difference')} in ${differing} of ${counted(calls.length, 'compared call')}`,
    `${allowed} allowed by rules`,
    ...(hidden === 0
      ? []
      : [`${counted(hidden, 'value is', 'values are')} hidden on a tape and could not be compared`]),
  ].join(', ');
}
