import type { Json } from '../../proto/fields';
import type { ComparedCall, ComparedSide, Comparison, RuleUse } from '../compare/comparison';
import { nameOf } from '../compare/rule';
import { BASE } from '../compare/rules';

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

/** Rules of the user and of the runtimes that were good for nothing; the base rules are for all there is. */
export function idleRules({ rules }: Comparison): readonly string[] {
  return rules
    .filter(({ rule, needed }) => rule.source !== BASE && needed === 0)
    .map((use) => `${nameOf(use.rule)} (${use.rule.path}) ${idleBecause(use)}`);
}

function idleBecause({ met }: RuleUse): string {
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
