import type { Comparison } from '../compare/comparison';
import type { PageDifference } from './page-data';

/** Returns the differences of a comparison in the form in which the page shows them, including those that rules allow. */
export function pageDifferences({ calls }: Comparison): readonly PageDifference[] {
  return calls.flatMap(({ a, b, differences, allowed }) => {
    const call = { ...(a === undefined ? {} : { a: a.n }), ...(b === undefined ? {} : { b: b.n }) };
    return [
      ...differences.map(({ path, a: ofA, b: ofB, why }): PageDifference => ({
        ...{ call, path, a: ofA, b: ofB, verdict: 'differs', because: why },
      })),
      ...allowed.map(({ path, a: ofA, b: ofB, because }): PageDifference => ({
        ...{ call, path, a: ofA, b: ofB, verdict: 'allowed', because },
      })),
    ];
  });
}
