/**
 * `block` forbids the migration until it is resolved, `change` is a change that the plan makes or a person must make,
 * `review` is for a person to look at, and `ok` was looked at and needs nothing.
 */
export type Severity = 'block' | 'change' | 'review' | 'ok';

/** Where a finding was seen. */
export interface Evidence {
  /** `path:line` of a file, `container NAME`, `image NAME` or `engine`. */
  readonly where: string;
  /** What was seen there; never a secret. */
  readonly what: string;
}

/** What the inventory found, and what to do about it. */
export interface Finding {
  /** Which row of the inventory this is, such as `docker-sock-pod`; the same on every node and in every version. */
  readonly id: string;
  readonly severity: Severity;
  /** One sentence. */
  readonly summary: string;
  readonly evidence: readonly Evidence[];
  /** What to do; '' when nothing has to be done. */
  readonly advice: string;
  /** The section of docs/migrating.md that explains the finding, such as `docs/migrating.md#registries`. */
  readonly link: string;
}

/** The exit code: 0 when nothing is above `review`, 2 when something must change, 3 when something forbids the migration. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 2 | 3 {
  if (findings.some(({ severity }) => severity === 'block')) return 3;
  return findings.some(({ severity }) => severity === 'change') ? 2 : 0;
}
