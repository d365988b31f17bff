import type { Comparison } from '../compare/comparison';
import type { PageDifference } from './page-data';

/** What a page shows beside two runs, of all that was found different in them. */
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
