import { pause } from '../../lib/async/abortable';
import { forEachLimited } from '../../lib/async/concurrency';
import { failedPrecondition, RuntimeError, unavailable, type ErrorCode } from '../../lib/errors';
import type { JsonObject } from '../../proto/fields';
import { asText, objectOf, objectsOf, textOf } from '../json';
import type { Driven, Endpoint } from './endpoint';

const LIST_MS = 30_000;
const REMOVE_MS = 150_000;
/** How long the removal waits for an endpoint that does not answer, ms. */
const AWAY_MS = 30_000;
const AGAIN_MS = 250;
const AT_ONCE = 8;

/** Returns a text that identifies a pod: no two pods on a node have the same identity. */
function identityOf(pod: JsonObject): string {
  const { namespace = '', name = '', uid = '', attempt = 0 } = objectOf(pod.metadata);
  return [namespace, name, uid, attempt].map(asText).join('/');
}

/** Returns `namespace/name`. */
function nameOf(pod: JsonObject): string {
  const { namespace = '', name = '' } = objectOf(pod.metadata);
  return `${asText(namespace)}/${asText(name)}`;
}

/** Statuses that do not show whether the call has created something. */
const UNCERTAIN: ReadonlySet<string> = new Set(['DEADLINE_EXCEEDED', 'UNAVAILABLE', 'CANCELLED']);

/** A RunPodSandbox call that has not returned an id. */
interface Making {
  readonly identity: string;
  /** The error status; undefined while the call runs, and if its answer was lost. */
  refusal?: string;
}

/** Tracks the pods and images that a run creates on an endpoint, and removes them at its end. */
export class OwnPods {
  readonly #ids = new Set<string>();
  readonly #images = new Set<string>();
  readonly #making = new Set<Making>();

  private constructor(
    private readonly endpoint: Endpoint,
    private readonly before: ReadonlySet<string>,
    private readonly identities: ReadonlySet<string>,
  ) {}

  /**
   * @param configs of all pods that the run can create.
   * @throws FAILED_PRECONDITION if the endpoint has a pod with one of these names, because that pod could be mistaken for one of the run
   * and removed; the endpoint's error if it does not list its pods.
   */
  static async on(endpoint: Endpoint, configs: readonly JsonObject[]): Promise<OwnPods> {
    const items = await podsOn(endpoint);
    const names = new Set(configs.map(nameOf));
    const taken = items.find((item) => names.has(nameOf(item)));
    if (taken !== undefined)
      throw failedPrecondition(
        `${endpoint.address} already has a pod ${nameOf(taken)}, which this command would create: remove that pod or use another endpoint`,
      );
    const before = new Set(items.flatMap(({ id }) => textOf(id) ?? []));
    return new OwnPods(endpoint, before, new Set(configs.map(identityOf)));
  }

  /**
   * Runs `run`, a RunPodSandbox call with this config, so that `remove` removes the pod. If the answer was lost, `remove` finds the pod by
   * its identity. If the call was refused, `remove` leaves a pod of this identity alone, because it may be another client's.
   * @throws what `run` throws. It must throw only if it did not make the call.
   */
  async making<Made extends Driven | undefined>(config: JsonObject, run: () => Promise<Made>): Promise<Made> {
    const making: Making = { identity: identityOf(config) };
    this.#making.add(making);
    const driven = await run().catch((error: unknown) => {
      this.#making.delete(making);
      throw error;
    });
    const id = textOf(driven?.response?.pod_sandbox_id);
    if (driven === undefined || id !== undefined) this.#making.delete(making);
    else if (!UNCERTAIN.has(driven.status)) making.refusal = driven.status;
    if (id !== undefined && !this.before.has(id)) this.#ids.add(id);
    return driven;
  }

  pulled(image: string): void {
    this.#images.add(image);
  }

  hasPulled(image: string): boolean {
    return this.#images.has(image);
  }

  /**
   * Removes all pods and images of the run, and waits up to 30 s for an endpoint that does not answer. Never rejects.
   * @returns what could not be removed and why, one text each.
   */
  async remove(): Promise<readonly string[]> {
    const left: string[] = [];
    const patience = new Patience();
    try {
      // The second round finds pods that interrupted calls created after the first list.
      for (let round = 0; round < 2; round++) {
        const pods = (await patience.with(() => podsOn(this.endpoint))).filter((pod) => this.#isOwn(pod));
        const ids = new Set([
          ...(round === 0 ? this.#ids : []),
          ...pods.flatMap(({ id }) => textOf(id) ?? []),
        ]);
        if (ids.size === 0) break;
        const last = round === 1;
        await forEachLimited(ids, AT_ONCE, async (id) => {
          const why = await this.#removePod(id, patience);
          const pod = pods.find((one) => one.id === id);
          if (why !== undefined && last)
            left.push(`pod ${pod === undefined ? id : nameOf(pod)} (${id}): ${why}`);
        });
      }
      left.push(...(await this.#refusedButThere(patience)));
      for (const image of this.#images) {
        const { status, details } = await this.endpoint.call(
          ...(['RemoveImage', { image: { image } }, { deadlineMs: REMOVE_MS }] as const),
        );
        if (status !== 'OK') left.push(`image ${image}: ${details ?? status}`);
      }
    } catch (error) {
      const names = [...this.identities].map((identity) => identity.split('/').slice(0, 2).join('/'));
      left.push(`pods ${[...new Set(names)].join(', ')}, if they were created: ${String(error)}`);
    }
    return left;
  }

  async #removePod(id: string, patience: Patience): Promise<string | undefined> {
    let why: string | undefined;
    for (const method of ['StopPodSandbox', 'RemovePodSandbox']) {
      const call = (): Promise<Driven> =>
        this.endpoint.call(method, { pod_sandbox_id: id }, { deadlineMs: REMOVE_MS });
      const { status, details } = await patience.with(async () => throwIfAway(await call()));
      why =
        status === 'OK' || status === 'NOT_FOUND'
          ? undefined
          : `${method} failed with ${status}: ${details ?? ''}`;
    }
    return why;
  }

  #isOwn(pod: JsonObject): boolean {
    const id = textOf(pod.id) ?? '';
    if (this.before.has(id)) return false;
    const identity = identityOf(pod);
    return (
      this.#ids.has(id) ||
      [...this.#making].some((one) => one.identity === identity && one.refusal === undefined)
    );
  }

  /** Reports pods that exist although RunPodSandbox failed: either the failed call left them, or another client created them. */
  async #refusedButThere(patience: Patience): Promise<readonly string[]> {
    const refused = [...this.#making].filter(({ refusal }) => refusal !== undefined);
    if (refused.length === 0) return [];
    const pods = await patience.with(() => podsOn(this.endpoint));
    return pods.flatMap((pod) => {
      const id = textOf(pod.id) ?? '';
      const { refusal } = refused.find(({ identity }) => identity === identityOf(pod)) ?? {};
      if (refusal === undefined || this.before.has(id) || this.#ids.has(id)) return [];
      return [
        `pod ${nameOf(pod)} (${id}), which may be another client's, because RunPodSandbox failed with ${refusal}`,
      ];
    });
  }
}

/** Repeats calls to an endpoint that does not answer, for 30 s in total. */
class Patience {
  readonly #end = performance.now() + AWAY_MS;
  readonly #never = new AbortController().signal;

  /** @throws the last error. */
  async with<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (performance.now() > this.#end) throw error;
        await pause(AGAIN_MS, this.#never);
      }
    }
  }
}

async function podsOn(endpoint: Endpoint): Promise<readonly JsonObject[]> {
  const { response, status, details } = await endpoint.call('ListPodSandbox', {}, { deadlineMs: LIST_MS });
  if (status !== 'OK')
    throw new RuntimeError(
      status as ErrorCode,
      `${endpoint.address} does not list its pods: ${details ?? status}`,
    );
  return objectsOf(response?.items);
}

function throwIfAway(driven: Driven): Driven {
  if (driven.status === 'UNAVAILABLE') throw unavailable(driven.details ?? 'the endpoint does not answer');
  return driven;
}
