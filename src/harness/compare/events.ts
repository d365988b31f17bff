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

/** The type at its default is not in the JSON. */
const FIRST_TYPE = 'CONTAINER_CREATED_EVENT';

export interface EventsOf {
  /** The sandbox, or a container of it. */
  readonly name: string;
  readonly pod: string | undefined;
  readonly container: string | undefined;
  readonly events: SeenEvent[];
}

/** The events of each container and sandbox, in their order. Watchers beside each other see an event twice; it counts once. */
export function eventsBy(
  watches: readonly ObservedCall[],
  identities: Identities,
): ReadonlyMap<string, EventsOf> {
  const byName = new Map<string, EventsOf>();
  const seen = new Set<string>();
  for (const call of watches)
    for (const message of call.messages ?? []) {
      const once = canonical([
        message.container_id ?? '',
        message.container_event_type ?? '',
        message.created_at ?? '',
      ]);
      if (seen.has(once)) continue;
      seen.add(once);
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
  return byName;
}

export interface EventPair {
  readonly a: SeenEvent | undefined;
  readonly b: SeenEvent | undefined;
}

/** Puts two sequences beside each other so that as many events as possible have one of their type at their side. */
export function paired(a: readonly SeenEvent[], b: readonly SeenEvent[]): readonly EventPair[] {
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
