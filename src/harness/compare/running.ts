import type { ObservedCall } from '../observation';
import type { Identities, Identity } from './identities';
import { GONE, named, type Told, type ToldBySide } from './told';

/** Polls whose answers report the states of containers. */
const REPORTING = ['ListContainers', 'StreamContainers', 'ContainerStatus'];
/** The calls that end a container. */
const ENDING = ['StopContainer', 'RemoveContainer', 'StopPodSandbox', 'RemovePodSandbox'];

/** When a call was made and when it was answered, in seconds. */
interface Span {
  readonly asked: number;
  readonly answered: number;
}

/** Finds list items that one side lacks although its containers were running. */
export class Running {
  readonly #polls: ToldBySide['polls'];
  /** The reported states of each container, by its name, in order of time. */
  readonly #reports = new Map<string, (Span & { readonly state: string })[]>();
  /** The calls that end a container or a pod, by its name. */
  readonly #ends = new Map<string, Span[]>();

  constructor({ polls }: ToldBySide, calls: readonly ObservedCall[], identities: Identities) {
    this.#polls = polls;
    for (const { method, identity, answers } of polls.values())
      if (REPORTING.includes(method) && identity.container !== undefined)
        for (const { call, state } of answers)
          if (state.startsWith('CONTAINER_')) add(this.#reports, named(identity), { ...spanOf(call), state });
    for (const reports of this.#reports.values()) reports.sort((one, other) => one.asked - other.asked);
    for (const call of calls)
      if (ENDING.includes(call.method)) add(this.#ends, named(identities.of(call)), spanOf(call));
  }

  /**
   * Returns whether this side lacked the item at a time at which it reported the container as running.
   * @param item as this side or the other side told it.
   * @param own what this side told about the item; undefined if this side never listed it.
   */
  lacks({ list = '', identity }: Told, own: Told | undefined): boolean {
    const listing = new Set(own?.answers.filter(({ state }) => state !== GONE).map(({ call }) => call));
    const { answers = [] } = this.#polls.get(list) ?? {};
    return answers.some(
      ({ call, state }) => state === 'OK' && !listing.has(call) && this.#isRunning(identity, spanOf(call)),
    );
  }

  /**
   * Returns whether the last report before a call is that the container runs, and nothing shows that the container ended before the
   * call was answered. A container that was stopped between the call and the next report counts as running.
   */
  #isRunning(identity: Identity, { asked, answered }: Span): boolean {
    const { container: _, ...pod } = identity;
    const name = named(identity);
    const reports = this.#reports.get(name) ?? [];
    const next = firstFrom(reports, answered);
    let last = next - 1;
    while ((reports[last]?.answered ?? asked) > asked) last--;
    const before = reports[last];
    if (before?.state !== 'CONTAINER_RUNNING') return false;
    const ends = [name, named(pod)].flatMap((of) => this.#ends.get(of) ?? []);
    const end = ends.reduce(
      (least, one) => (one.answered >= before.asked ? Math.min(least, one.asked) : least),
      Infinity,
    );
    if (end < answered) return false;
    const after = reports[next];
    return after?.state !== 'CONTAINER_EXITED' || end <= after.asked;
  }
}

/** Returns the index of the first span that was asked at this time or later. A tape of a day has thousands of polls and reports. */
function firstFrom(spans: readonly Span[], time: number): number {
  let [from, to] = [0, spans.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((spans[middle]?.asked ?? Infinity) < time) from = middle + 1;
    else to = middle;
  }
  return from;
}

function spanOf({ t, ms }: ObservedCall): Span {
  return { asked: t, answered: t + ms / 1000 };
}

function add<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const known = lists.get(key);
  if (known === undefined) lists.set(key, [value]);
  else known.push(value);
}
