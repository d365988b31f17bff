import type { EffectComparison } from '../../harness/effects/compare-effects';
import type { Evidence, Finding, Severity } from '../finding';
import { effectEvidence, effectFindings } from './effect-findings';

/** A runtime that was compared. */
export interface VerifiedSide {
  readonly endpoint: string;
  readonly runtime: string;
  readonly version: string;
}

/** A difference that dockbridge knows and explains. */
export interface ExpectedDifference {
  readonly because: string;
  /** What to do when pods move; '' when nothing has to be done. */
  readonly advice: string;
  readonly evidence: readonly Evidence[];
}

/** The comparison of two runtimes, which `-o json` prints in this form. */
export interface VerifyReport {
  /** The version of this form. */
  readonly v: 1;
  readonly dockbridge: string;
  readonly a: VerifiedSide;
  readonly b: VerifiedSide;
  readonly summary: Readonly<Record<Severity, number>> & {
    /** Kinds of expected differences. */
    readonly expected: number;
    /** Properties of containers that are equal. */
    readonly equal: number;
  };
  /** Differences that nobody expects, the worst first. */
  readonly findings: readonly Finding[];
  readonly expected: readonly ExpectedDifference[];
  /** How many containers were created on each side. */
  readonly containers: number;
  /** 0 when there is no unexpected difference, 2 otherwise. */
  readonly exitCode: 0 | 2;
}

const ORDER: readonly Severity[] = ['block', 'change', 'review', 'ok'];

/**
 * @param found the findings of the static comparison.
 * @param allowed its expected differences.
 * @param effects undefined when no pods were created, because B is not ready for any.
 */
export function verifyReport(
  dockbridge: string,
  sides: { readonly a: VerifiedSide; readonly b: VerifiedSide },
  found: readonly Finding[],
  allowed: readonly { readonly because: string; readonly evidence: Evidence }[],
  effects: EffectComparison | undefined,
): VerifyReport {
  const findings = [...found, ...(effects === undefined ? [] : effectFindings(effects))].sort(
    (one, other) => ORDER.indexOf(one.severity) - ORDER.indexOf(other.severity),
  );
  const expected = new Map<string, ExpectedDifference>();
  const add = (because: string, advice: string, evidence: Evidence): void => {
    const before = expected.get(because)?.evidence ?? [];
    expected.set(because, { because, advice, evidence: [...before, evidence] });
  };
  for (const { because, evidence } of allowed) add(sentence(because), '', evidence);
  for (const row of effects?.rows ?? [])
    if (row.explanation !== undefined)
      add(
        row.explanation.because,
        row.explanation.advice ?? '',
        effectEvidence(row, effects?.containers.length ?? 0),
      );
  const number = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  return {
    ...{ v: 1, dockbridge, ...sides },
    summary: {
      ...{ block: number('block'), change: number('change'), review: number('review'), ok: number('ok') },
      ...{ expected: expected.size, equal: effects?.counts.same ?? 0 },
    },
    findings,
    expected: [...expected.values()],
    containers: effects?.containers.length ?? 0,
    exitCode: findings.length > 0 ? 2 : 0,
  };
}

/** Programs whose names begin with a small letter, also at the beginning of a sentence. */
const PROGRAMS = /^(containerd|dockerd|kubelet|runc)\b/;

/** The reasons of rules are parts of sentences. */
function sentence(because: string): string {
  const first = PROGRAMS.test(because) ? because : because.charAt(0).toUpperCase() + because.slice(1);
  return first.endsWith('.') ? first : `${first}.`;
}
