import type { Json } from '../../proto/fields';
import type { Rule } from './rule';

/** The result of comparing two observations. */
export interface Comparison {
  readonly a: ComparedSide;
  readonly b: ComparedSide;
  /** The compared calls in order of their times in A, or in B for calls that only B has. */
  readonly calls: readonly ComparedCall[];
  /** Sums over all calls. The runtimes behave the same if there are no differences. */
  readonly differences: number;
  readonly allowed: number;
  /** How many values could not be compared because a tape hides them. */
  readonly hidden: number;
  /** How often each rule was applied, in the order in which rules are tried. */
  readonly rules: readonly RuleUse[];
}

export interface ComparedSide {
  /** A file, or the address of a socket. */
  readonly source: string;
  readonly runtime: { readonly name: string; readonly version: string };
  readonly calls: number;
}

/**
 * A call of A and the corresponding call of B. For a polled method, this stands for all calls about the same pod, container or image.
 * Each item of a list has an entry of its own.
 */
export interface ComparedCall {
  readonly method: string;
  /** `namespace/name`, with `#1` for the second attempt. */
  readonly pod?: string;
  readonly container?: string;
  readonly image?: string;
  /** The number of this call among the calls of the method about the same pod, container or image, counted from 0. */
  readonly occurrence: number;
  /** Undefined if the side has no such call. */
  readonly a?: CallSide;
  readonly b?: CallSide;
  readonly differences: readonly Difference[];
  /** Differences that a rule of a runtime or of the user allows. What the base rules allow is not listed. */
  readonly allowed: readonly AllowedDifference[];
  /** Observations that are not differences, such as a message that is empty on one side and missing on the other. */
  readonly notes: readonly string[];
}

export interface CallSide {
  /** The number of the first call, and its time in seconds since the observation began. */
  readonly n: number;
  readonly t: number;
  /** The total duration of these calls. */
  readonly ms: number;
  readonly calls: number;
  /** The status of the last of these calls. */
  readonly status: string;
}

export interface Difference {
  /** The path of the value, as a rule would name it, such as `ContainerStatus.status.labels[app]`. */
  readonly path: string;
  /** Undefined if the side has no value. */
  readonly a: Json | undefined;
  readonly b: Json | undefined;
  /** A sentence that describes the difference. */
  readonly why: string;
  /** The rule that the values violate, or a rule that nearly matches. */
  readonly near?: NearMiss;
}

export interface NearMiss {
  /** The source and key of the rule, such as `containerd rules[3]`. */
  readonly rule: string;
  readonly why: string;
}

export interface AllowedDifference {
  readonly path: string;
  readonly a: Json | undefined;
  readonly b: Json | undefined;
  readonly rule: string;
  readonly because: string;
}

export interface RuleUse {
  readonly rule: Rule;
  /** Whether the rule applies to these two runtimes. */
  readonly isActive: boolean;
  /** How many values the rule was applied to. */
  readonly met: number;
  /** How many of these values differed and were allowed by this rule alone. */
  readonly needed: number;
}
