import type { JsonObject } from '../../proto/fields';
import type { ObservedCall } from '../observation';
import type { Identities } from './identities';
import { canonical, objectOf, textOf } from '../json';
import { named } from './told';

export interface SeenEvent {
  readonly call: ObservedCall;
  readonly type: string;
  readonly message: JsonObject;
}

/** The default of the enum, which proto3 JSON leaves out. */
const FIRST_TYPE = 'CONTAINER_CREATED_EVENT';

export interface EventsOf {
  /** The name of the sandbox or container. */
  readonly name: string;
  readonly pod: string | undefined;
  readonly container: string | undefined;
  readonly events: SeenEvent[];
}

/**
 * Returns the events of each container and sandbox, in order. If several watchers received the same event, the copies are not added up:
 * only those of the watcher with the most copies count.
 */
export function eventsBy(
  watches: readonly ObservedCall[],
  identities: Identities,
): ReadonlyMap<string, EventsOf> {
  const byName = new Map<string, EventsOf>();
  const seen = new Map<string, number>();
  for (const call of watches) {
    const seenHere = new Map<string, number>();
    for (const message of call.messages ?? []) {
      const once = canonical([
        message.container_id ?? '',
        message.container_event_type ?? '',
        message.created_at ?? '',
      ]);
      const times = (seenHere.get(once) ?? 0) + 1;
      seenHere.set(once, times);
      if (times <= (seen.get(once) ?? 0)) continue;
      seen.set(once, times);
      const id = textOf(message.container_id) ?? '';
      const metadata = objectOf(message.pod_sandbox_status).metadata;
      const identity =
        identities.get(id) ??
        identities.of({ method: 'RunPodSandbox', request: { config: { metadata: metadata ?? {} } } });
      const name = named(identity);
      const known = byName.get(name) ?? {
        name,
        pod: identity.pod,
        container: identity.container,
        events: [],
      };
      byName.set(name, known);
      known.events.push({ call, type: textOf(message.container_event_type) ?? FIRST_TYPE, message });
    }
  }
  return byName;
}

export interface EventPair {
  readonly a: SeenEvent | undefined;
  readonly b: SeenEvent | undefined;
}

/** The size of the largest alignment table, which bounds memory and time. */
const MOST_CELLS = 4_000_000;

/**
 * Aligns two sequences so that as many events as possible are paired with an event of the same type. If the sequences are very long,
 * the part between their equal beginning and their equal end is paired by order alone.
 */
export function paired(a: readonly SeenEvent[], b: readonly SeenEvent[]): readonly EventPair[] {
  const shorter = Math.min(a.length, b.length);
  let begin = 0;
  while (begin < shorter && a[begin]?.type === b[begin]?.type) begin++;
  let end = 0;
  while (end < shorter - begin && a.at(-1 - end)?.type === b.at(-1 - end)?.type) end++;
  const [middleA, middleB] = [a.slice(begin, a.length - end), b.slice(begin, b.length - end)];
  const isLarge = (middleA.length + 1) * (middleB.length + 1) > MOST_CELLS;
  return [
    ...beside(a.slice(0, begin), b.slice(0, begin)),
    ...(isLarge ? beside(middleA, middleB) : aligned(middleA, middleB)),
    ...beside(a.slice(a.length - end), b.slice(b.length - end)),
  ];
}

/** Pairs events by order. Events of different types are not paired. */
function beside(a: readonly SeenEvent[], b: readonly SeenEvent[]): readonly EventPair[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, at): EventPair[] => {
    const [one, other] = [a[at], b[at]];
    if (one?.type === other?.type) return [{ a: one, b: other }];
    return [
      ...(one === undefined ? [] : [{ a: one, b: undefined }]),
      ...(other === undefined ? [] : [{ a: undefined, b: other }]),
    ];
  }).flat();
}

/** Pairs events by the longest common subsequence of types. Time and memory grow with the product of the lengths. */
function aligned(a: readonly SeenEvent[], b: readonly SeenEvent[]): readonly EventPair[] {
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  const at = (x: number, y: number): number => common[x * width + y] ?? 0;
  for (let x = a.length - 1; x >= 0; x--)
    for (let y = b.length - 1; y >= 0; y--)
      common[x * width + y] =
        a[x]?.type === b[y]?.type ? at(x + 1, y + 1) + 1 : Math.max(at(x + 1, y), at(x, y + 1));
  const pairs: EventPair[] = [];
  let [x, y] = [0, 0];
  while (x < a.length || y < b.length) {
    if (x < a.length && y < b.length && a[x]?.type === b[y]?.type) pairs.push({ a: a[x++], b: b[y++] });
    else if (y >= b.length || (x < a.length && at(x + 1, y) >= at(x, y + 1)))
      pairs.push({ a: a[x++], b: undefined });
    else pairs.push({ a: undefined, b: b[y++] });
  }
  return pairs;
}
