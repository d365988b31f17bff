import type { RulePath } from './path';
import type { RuntimeMatch } from './runtime-match';

/** How the values of a field are compared. */
export type RuleKind =
  'ignore' | 'missing' | 'extra' | 'id' | 'time' | 'set' | 'range' | 'prefix' | 'present';

/** A rule as a file has it, and as the rules of this program are written. */
export interface RuleText {
  /** `ContainerStatus.status.image_id`, `Image.size`, `*.created_at`: see docs/harness.md. */
  readonly path: string;
  readonly as: RuleKind;
  readonly because: string;
  /**
   * On which runtimes. `any` means that one side or the other is such a runtime: for `missing` the side that has nothing, and for
   * `extra` the side that alone has something.
   */
  readonly only?: {
    readonly a?: string | undefined;
    readonly b?: string | undefined;
    readonly any?: string | undefined;
  };
  /** The rule is for these values alone: what both sides have must be among them. */
  readonly values?: readonly (string | number | boolean)[];
  /** With `only.any`: what the side that is such a runtime has must be among these. */
  readonly own?: readonly (string | number | boolean)[];
  /** A field of the request, such as `filter.image.image`: the rule is only for calls in which it is set. */
  readonly asked?: string;
  /** For `id`: values of different spaces are not held against each other. */
  readonly space?: string;
}

export interface Rule extends RuleText {
  /** `base`, the name of shipped rules, or the user's file. */
  readonly source: string;
  /** Such as `rules[3]`, from 0 on. */
  readonly key: string;
  readonly compiled: RulePath;
  readonly runtimes: {
    readonly a: RuntimeMatch | undefined;
    readonly b: RuntimeMatch | undefined;
    readonly any: RuntimeMatch | undefined;
  };
}

/** What a report calls a rule. */
export function nameOf({ source, key }: Rule): string {
  return `${source} ${key}`;
}
