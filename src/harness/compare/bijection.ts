/** Holds the ids of A against those of B: over a whole run, each id of one side is one id of the other. */
export class Bijection {
  readonly #toB = new Map<string, Bound>();
  readonly #toA = new Map<string, Bound>();
  readonly #told = new Set<string>();

  /**
   * @param where for the sentence about a later contradiction.
   * @returns what this pair contradicts, once for a pair; undefined if nothing.
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
      ? `B's ${b} already stands for A's ${ofB?.other ?? ''}, since ${ofB?.where ?? ''}`
      : `A's ${a} already stands for B's ${ofA.other}, since ${ofA.where}`;
  }
}

interface Bound {
  readonly other: string;
  readonly where: string;
}

function key(space: string, id: string): string {
  return `${space}\0${id}`;
}
