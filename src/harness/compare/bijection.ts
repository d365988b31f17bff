/** Checks that in the whole run, each id of A corresponds to exactly one id of B, and vice versa. */
export class Bijection {
  readonly #toB = new Map<string, Bound>();
  readonly #toA = new Map<string, Bound>();
  readonly #told = new Set<string>();

  /**
   * Records that an id of A corresponds to an id of B.
   * @param where the path of this pair, for the message about a later contradiction.
   * @returns a sentence about an earlier pair that contradicts this one; undefined if there is none, or if this contradiction was already
   * returned.
   */
  bind(space: string, a: string, b: string, where: string): string | undefined {
    const [ofA, ofB] = [this.#toB.get(key(space, a)), this.#toA.get(key(space, b))];
    if (ofA === undefined && ofB === undefined) {
      this.#toB.set(key(space, a), { other: b, where });
      this.#toA.set(key(space, b), { other: a, where });
      return undefined;
    }
    if (ofA?.other === b) return undefined;
    const pair = JSON.stringify([space, a, b]);
    if (this.#told.has(pair)) return undefined;
    this.#told.add(pair);
    return ofA === undefined
      ? `B's ${b} already corresponds to A's ${ofB?.other ?? ''}, according to ${ofB?.where ?? ''}`
      : `A's ${a} already corresponds to B's ${ofA.other}, according to ${ofA.where}`;
  }
}

interface Bound {
  readonly other: string;
  readonly where: string;
}

function key(space: string, id: string): string {
  return `${space}\0${id}`;
}
