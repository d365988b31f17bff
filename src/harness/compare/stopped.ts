import type { ObservedCall } from '../observation';
import type { Identities } from './identities';
import { named, type Answer, type Told } from './told';

/** Calls after which a container or a sandbox is stopped, and no longer comes to that by itself. */
const STOPPING = ['StopContainer', 'StopPodSandbox'];
const REMOVING = ['RemoveContainer', 'RemovePodSandbox'];

/** What one side did to end its containers and pods. */
export class Stopped {
  /** By what they are about → when the first one had succeeded, s. */
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

  /** The last answer after the stop, and before the removal. A state that comes by itself may be missed; this one may not. */
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
