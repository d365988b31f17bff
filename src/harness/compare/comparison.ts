import type { Json } from '../../proto/fields';
import type { Rule } from './rule';

/** What came of comparing two observations. */
export interface Comparison {
  readonly a: ComparedSide;
  readonly b: ComparedSide;
  /** What was compared, in the order of time of A; what only B has stands where its time is. */
  readonly calls: readonly ComparedCall[];
  /** Sums over all calls. The runtimes behave the same if there are no differences. */
  readonly differences: number;
  readonly allowed: number;
  /** Values that a tape hides, which therefore nobody can compare. */
  readonly hidden: number;
  /** How often each rule was applied, in the order in which rules are asked. */
  readonly rules: readonly RuleUse[];
}

export interface ComparedSide {
  /** A file, or the address of a socket. */
  readonly source: string;
  readonly runtime: { readonly name: string; readonly version: string };
  readonly calls: number;
}

/**
 * One call of A and the call of B that is the same one; or, for a method that is polled, all calls about one thing. A call of
 * a list becomes one of these for each pod, container or image in it.
 */
export interface ComparedCall {
  readonly method: string;
  /** `namespace/name`, with `#1` for the second attempt. */
  readonly pod?: string;
  readonly container?: string;
  readonly image?: string;
  /** From 0 on: calls of one method about one thing are counted. */
  readonly occurrence: number;
  /** Undefined where a side has no such call. */
  readonly a?: CallSide;
  readonly b?: CallSide;
  readonly differences: readonly Difference[];
  /** Differences that a shipped rule or one of the user allows; what the base rules allow is not a difference. */
  readonly allowed: readonly AllowedDifference[];
  /** What is not worth a failure, such as a message that is empty on one side and missing on the other. */
  readonly notes: readonly string[];
}

export interface CallSide {
  /** Number and time (seconds) of the first call. */
  readonly n: number;
  readonly t: number;
  /** The sum over all these calls. */
  readonly ms: number;
  readonly calls: number;
  /** The value for the last of these calls. */
  readonly status: string;
}

export interface Difference {
  /** Where, such as `ContainerStatus.status.labels[app]`: what a rule would name. */
  readonly path: string;
  /** Undefined where a side has nothing there. */
  readonly a: Json | undefined;
  readonly b: Json | undefined;
  /** A sentence about what is wrong. */
  readonly why: string;
  /** The rule that was applied and did not hold, or one that nearly fits. */
  readonly near?: NearMiss;
}

export interface NearMiss {
  /** Its file and key, such as `containerd rules[3]`. */
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
  /** Whether it is for these two runtimes. */
  readonly isActive: boolean;
  /** How many values it was applied to. */
  readonly met: number;
  /** How many of them were different and allowed by it. */
  readonly needed: number;
}
