import { EVENTS } from '../methods';
import type { PlannedCall } from './replay-plan';

/**
 * Returns for each call the indexes of the calls that must be finished before it is made. A call waits for the calls of its lane, and for
 * the calls about all pods, that had ended in the recording before it began. A call about all pods waits for the calls of every lane.
 * Calls that overlapped do not wait for each other. Dependencies that follow from others are left out, so that the lists stay short. Pure.
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
  /** The calls for which a later call may have to wait. */
  readonly #lanes = new Map<string, Set<Place>>();
  readonly #ofAll = new Set<Place>();

  add({ call, lane, isOfAll }: PlannedCall): number[] {
    const own = this.#lane(lane);
    const sets = isOfAll ? [...this.#lanes.values(), this.#ofAll] : [own, this.#ofAll];
    for (const set of sets) for (const place of set) if (place.end <= call.t) this.#prune(place);
    const waitsFor = sets.flatMap((set) => [...set].filter(({ end }) => end <= call.t));
    // Later calls wait only until a stream of events is open, not until it ends.
    const end = call.method === EVENTS ? call.t : call.end;
    (isOfAll ? this.#ofAll : own).add({ at: this.#count++, lane, isOfAll, end, waitsFor, isPruned: false });
    return waitsFor.map(({ at }) => at);
  }

  /** Removes the calls for which this call waits, because a later call that waits for this one need not wait for them too. */
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
