import { matcher, podMatcher } from '../pattern';
import type { Rule } from './plan';

/** The parts of a call that decide which rule applies to it. */
export interface Asked {
  readonly method: string;
  readonly pod: string | undefined;
  readonly streams: boolean;
}

/** Faults that need a single answer, so they do not apply to streams. */
const OF_ONE_ANSWER: ReadonlySet<string> = new Set(['lose_answer', 'stale']);

/** A rule that applies to a call, with its index in the plan. */
export interface Drawn {
  readonly rule: Rule;
  readonly at: number;
}

/**
 * Decides which rule applies to a call. The same seed and the same calls in the same order give the same faults. Each rule has its own
 * random numbers, so a new rule at the end of a plan does not change the faults of the others.
 */
export class Dice {
  readonly #rules: readonly { readonly drawn: Drawn; readonly meets: (asked: Asked) => boolean }[];

  constructor(rules: readonly Rule[], seed: number) {
    this.#rules = rules.map((rule, at) => ({ drawn: { rule, at }, meets: ruleOf(rule, numbers(seed + at)) }));
  }

  /** Returns the first rule that applies to the call. Every rule counts the calls that match it, even if an earlier rule applies. */
  draw(asked: Asked): Drawn | undefined {
    const [first] = this.#rules.filter(({ meets }) => meets(asked));
    return first?.drawn;
  }
}

function ruleOf({ match, fault }: Rule, next: () => number): (asked: Asked) => boolean {
  const { nth, every, probability } = match;
  const isMethod = matcher(match.method);
  const isPod = match.pod === undefined ? undefined : podMatcher(match.pod);
  let seen = 0;
  return ({ method, pod, streams }) => {
    if (streams && OF_ONE_ANSWER.has(fault.kind)) return false;
    if (!isMethod(method) || (isPod !== undefined && (pod === undefined || !isPod(pod)))) return false;
    seen++;
    if (nth !== undefined && seen !== nth) return false;
    if (every !== undefined && seen % every !== 0) return false;
    return probability === undefined || next() < probability;
  };
}

/** Returns a generator of pseudo-random numbers from 0 to 1 (a 32-bit xorshift, whose state is never 0). */
function numbers(seed: number): () => number {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // The first numbers are skipped, because they are similar for neighbouring seeds.
  for (let warm = 0; warm < 8; warm++) next();
  return next;
}
