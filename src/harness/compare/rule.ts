import type { RulePath } from './path';
import type { RuntimeMatch } from './runtime-match';

/** How a rule compares the values of a field (docs/harness.md). */
export type RuleKind =
  'ignore' | 'missing' | 'extra' | 'id' | 'time' | 'set' | 'names' | 'range' | 'prefix' | 'present';

/** A rule as it is written in a file of rules and in `shipped`. */
export interface RuleText {
  /** Such as `ContainerStatus.status.image_id`, `Image.size` or `*.created_at` (docs/harness.md). */
  readonly path: string;
  readonly as: RuleKind;
  readonly because: string;
  /**
   * The runtimes to which the rule applies: as A, as B, or on either side (`any`). With `any`, a rule `missing` needs this runtime on the
   * side without a value, and a rule `extra` needs it on the only side with a value.
   */
  readonly only?: {
    readonly a?: string | undefined;
    readonly b?: string | undefined;
    readonly any?: string | undefined;
  };
  /** The rule applies only if both sides have one of these values. */
  readonly values?: readonly (string | number | boolean)[];
  /** With `only.any`: the rule applies only if the side with such a runtime has one of these values. */
  readonly own?: readonly (string | number | boolean)[];
  /** A field of the request, such as `filter.image.image`. The rule applies only to calls in which this field is set. */
  readonly asked?: string;
  /** For items that a list lacks or lists no more: the rule does not apply if the side without the item reported the container as running. */
  readonly ended?: boolean;
  /**
   * The difference ends by itself after a short time. A replay therefore repeats a poll for a few seconds before it accepts the difference.
   * A comparison of tapes accepts it at once.
   */
  readonly brief?: boolean;
  /** For `id`: rules with different spaces have separate tables of corresponding ids. */
  readonly space?: string;
}

export interface Rule extends RuleText {
  /** `base`, the name of a runtime, or the user's file. */
  readonly source: string;
  /** Such as `rules[3]`, counted from 0. */
  readonly key: string;
  readonly compiled: RulePath;
  readonly runtimes: {
    readonly a: RuntimeMatch | undefined;
    readonly b: RuntimeMatch | undefined;
    readonly any: RuntimeMatch | undefined;
  };
}

/** Returns the name of a rule in reports. */
export function nameOf({ source, key }: Rule): string {
  return `${source} ${key}`;
}
