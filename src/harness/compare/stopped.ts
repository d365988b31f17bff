import type { ObservedCall } from '../observation';
import type { Identities } from './identities';
import { named, type Answer, type Told } from './told';

/** The calls after whose success a container or a sandbox is certainly stopped. */
const STOPPING = ['StopContainer', 'StopPodSandbox'];
const REMOVING = ['RemoveContainer', 'RemovePodSandbox'];

/** The times at which one side stopped and removed its containers and pods. */
export class Stopped {
  /** The name of a container or pod → when the first stop had succeeded, in seconds. */
  readonly #stops = new Map<string, number>();
  readonly #removals = new Map<string, number>();

  constructor(calls: readonly ObservedCall[], identities: Identities) {
    for (const call of calls) {
      const name = named(identities.of(call));
      const put = (times: Map<string, number>, t: number): void =>
        void times.set(name, Math.min(times.get(name) ?? Infinity, t));
      if (STOPPING.includes(call.method) && call.status === 'OK') put(this.#stops, call.t + call.ms / 1000);
      if (REMOVING.includes(call.method)) put(this.#removals, call.t);
    }
  }

  /** Returns the last answer between the stop and the removal. Unlike a short state, no side can miss the state of a stopped container. */
  lastAnswer({ identity, answers }: Told): Answer | undefined {
    const { container: _, ...pod } = identity;
    const name = named(identity);
    const stop = Math.min(this.#stops.get(name) ?? Infinity, this.#stops.get(named(pod)) ?? Infinity);
    const removal = Math.min(
      this.#removals.get(name) ?? Infinity,
      this.#removals.get(named(pod)) ?? Infinity,
    );
    return answers.findLast(({ call }) => call.t >= stop && call.t + call.ms / 1000 <= removal);
  }
}
