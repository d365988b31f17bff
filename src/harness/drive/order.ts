import { EVENTS } from './kinds';
import type { PlannedCall } from './plan';

/**
 * Which calls must be done before each call is made, by their places in the list: those that had ended in the recording when it
 * began, as far as one could see what the other did. These are calls of the same lane, and calls that tell of all pods. Calls that
 * overlapped do not wait for each other. What follows from other dependencies is left out, so that the lists stay short. Pure.
 */
export function dependencies(calls: readonly PlannedCall[]): readonly (readonly number[])[] {
  const order = new Order();
  return calls.map((call) => order.add(call));
}

interface Place {
  readonly at: number;
  readonly lane: string;
  readonly isOfAll: boolean;
  readonly end: number;
  readonly waitsFor: readonly Place[];
  isPruned: boolean;
}

class Order {
  #count = 0;
  /** What a later call may have to wait for. */
  readonly #lanes = new Map<string, Set<Place>>();
  readonly #ofAll = new Set<Place>();

  add({ call, lane, isOfAll }: PlannedCall): number[] {
    const own = this.#lane(lane);
    const sets = isOfAll ? [...this.#lanes.values(), this.#ofAll] : [own, this.#ofAll];
    for (const set of sets) for (const place of set) if (place.end <= call.t) this.#prune(place);
    const waitsFor = sets.flatMap((set) => [...set].filter(({ end }) => end <= call.t));
    // A stream of events is waited for until it is open, not until it ends.
    const end = call.method === EVENTS ? call.t : call.end;
    (isOfAll ? this.#ofAll : own).add({ at: this.#count++, lane, isOfAll, end, waitsFor, isPruned: false });
    return waitsFor.map(({ at }) => at);
  }

  /** Whoever waits for this place need not wait for those before it, if it would wait for this one in any case. */
  #prune(place: Place): void {
    if (place.isPruned) return;
    place.isPruned = true;
    for (const before of place.waitsFor) {
      if (place.isOfAll) (before.isOfAll ? this.#ofAll : this.#lane(before.lane)).delete(before);
      else if (!before.isOfAll) this.#lane(before.lane).delete(before);
    }
  }

  #lane(name: string): Set<Place> {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const made = new Set<Place>();
    this.#lanes.set(name, made);
    return made;
  }
}
