import type { AllowedDifference, ComparedCall, Comparison, Difference } from '../compare/comparison';
import type { EffectComparison, EffectRow } from './compare';

/** The name that reports show in place of a CRI method. */
export const EFFECTS = 'Effects';

/** Returns the comparison in the form from which JUnit reports are made, with one case for each container. */
export function asComparison({ a, b, rows, counts, containers }: EffectComparison): Comparison {
  const calls = containers.map((name): ComparedCall => {
    const [pod = '', container = ''] = name.split('/');
    const own = rows.filter((row) => row.containers.includes(name));
    return {
      ...{ method: EFFECTS, pod, container, occurrence: 0, notes: [] },
      differences: own.filter(({ verdict }) => verdict === 'differs').map(difference),
      allowed: own.flatMap(allowed),
    };
  });
  return {
    a: { ...a, calls: calls.length },
    b: { ...b, calls: calls.length },
    calls,
    differences: counts.differs,
    allowed: counts.explained,
    hidden: 0,
    rules: [],
  };
}

function difference({ effect, a, b }: EffectRow): Difference {
  const why =
    a === undefined
      ? 'only B has it'
      : b === undefined
        ? 'only A has it'
        : 'the containers were given different values';
  return { path: effect, a, b, why };
}

function allowed({ effect, a, b, explanation }: EffectRow): AllowedDifference[] {
  if (explanation === undefined) return [];
  return [{ path: effect, a, b, rule: 'effects', because: explanation.because }];
}
