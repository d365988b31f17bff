import type { Json } from '../../proto/fields';
import type { ComparedCall, ComparedSide, Comparison, RuleUse } from '../compare/comparison';
import { nameOf } from '../compare/rule';
import { BASE, isShipped } from '../compare/rules';

/** A longer value makes a report unreadable; JSON has it whole. */
const MAX_VALUE = 200;

/** A value in one line. */
export function shownValue(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

/** What a call is about, such as `default/web-0 main`. */
export function aboutOf({ pod, container, image }: ComparedCall): string {
  return [pod, container, image].filter((part) => part !== undefined).join(' ');
}

/** `CreateContainer default/web-0 main`, with `#2` from the second one on. */
export function titleOf(call: ComparedCall): string {
  const times = call.occurrence === 0 ? [] : [`#${call.occurrence + 1}`];
  return [call.method, aboutOf(call), ...times].filter((part) => part !== '').join(' ');
}

export function sideText({ source, runtime: { name, version } }: ComparedSide): string {
  const runtime = `${name} ${version}`.trim();
  return `${source} (${runtime === '' ? 'unknown runtime' : runtime})`;
}

/**
 * Rules that were good for nothing: a line for each of the user's, and one for all of a runtime that are for its version. The base rules are
 * for any run, so nobody needs to hear which of them had nothing to do.
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
      return `those of ${source} for ${[...new Set(paths)].join(', ')}`;
    }),
  ];
}

function idleBecause({ met, isActive }: RuleUse): string {
  if (!isActive) return 'is not for these runtimes';
  if (met === 0) return 'matched nothing';
  return `matched ${met} value${met === 1 ? '' : 's'}, and was needed for none`;
}

/** What a comparison came to, in a sentence. */
export function sumOf({ calls, differences, allowed, hidden }: Comparison): string {
  const differing = calls.filter((call) => call.differences.length > 0).length;
  return [
    `${differences} ${differences === 1 ? 'difference' : 'differences'} in ${differing} of ${calls.length} compared calls`,
    `${allowed} allowed by rules`,
    ...(hidden === 0 ? [] : [`${hidden} values are hidden in a tape and could not be compared`]),
  ].join(', ');
}
