import { pause } from '../../lib/async/abortable';
import { forEachLimited } from '../../lib/async/concurrency';
import { failedPrecondition, RuntimeError, unavailable, type ErrorCode } from '../../lib/errors';
import type { JsonObject } from '../../proto/fields';
import { asText, objectOf, objectsOf, textOf } from '../json';
import type { Driven, Endpoint } from './endpoint';

const LIST_MS = 30_000;
const REMOVE_MS = 150_000;
/** How long an endpoint may be away when things are to be removed. */
const AWAY_MS = 30_000;
const AGAIN_MS = 250;
const AT_ONCE = 8;

/** Identifies a pod: no two pods on a node have the same identity. */
function identityOf(pod: JsonObject): string {
  const { namespace = '', name = '', uid = '', attempt = 0 } = objectOf(pod.metadata);
  return [namespace, name, uid, attempt].map(asText).join('/');
}

/** `namespace/name` */
function nameOf(pod: JsonObject): string {
  const { namespace = '', name = '' } = objectOf(pod.metadata);
  return `${asText(namespace)}/${asText(name)}`;
}

/** Answers after which nobody knows whether the call has made something. */
const UNCERTAIN: ReadonlySet<string> = new Set(['DEADLINE_EXCEEDED', 'UNAVAILABLE', 'CANCELLED']);

/** A RunPodSandbox that has told no id. */
interface Making {
  readonly identity: string;
  /** Its refusal; undefined while it runs, and when its answer was lost. */
  refusal?: string;
}

/** The pods and images that a run makes on an endpoint, which are to be gone after it. */
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
   * @param configs of all pods that may be made.
   * @throws FAILED_PRECONDITION when the endpoint has a pod of one of these names: it might be taken for ours and removed; else the
   * endpoint's error, when it does not tell.
   */
  static async on(endpoint: Endpoint, configs: readonly JsonObject[]): Promise<OwnPods> {
    const items = await podsOn(endpoint);
    const names = new Set(configs.map(nameOf));
    const taken = items.find((item) => names.has(nameOf(item)));
    if (taken !== undefined)
      throw failedPrecondition(
        `${endpoint.address} has a pod ${nameOf(taken)} already, and this would make it: remove that pod, or take another endpoint`,
      );
    const before = new Set(items.flatMap(({ id }) => textOf(id) ?? []));
    return new OwnPods(endpoint, before, new Set(configs.map(identityOf)));
  }

  /**
   * Makes a pod with `run`, a RunPodSandbox of this config. The pod is removed at the end; if the answer with its id is lost, by its
   * name. A pod of that name which another client has made at the same time is left alone otherwise.
   * @throws what `run` throws before the call is made.
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
   * Removes all of them; waits for an endpoint that is away for a while. Never rejects.
   * @returns what could not be removed, a sentence each.
   */
  async remove(): Promise<readonly string[]> {
    const left: string[] = [];
    const patience = new Patience();
    try {
      // A call that was cut off may have made a pod whose id nobody was told.
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
      left.push(`pods ${[...new Set(names)].join(', ')}, if they were made: ${String(error)}`);
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
        status === 'OK' || status === 'NOT_FOUND' ? undefined : `${method} says ${status}: ${details ?? ''}`;
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

  /** Pods whose making was refused to us: they are what a failed call has left, or another client's. */
  async #refusedButThere(patience: Patience): Promise<readonly string[]> {
    const refused = [...this.#making].filter(({ refusal }) => refusal !== undefined);
    if (refused.length === 0) return [];
    const pods = await patience.with(() => podsOn(this.endpoint));
    return pods.flatMap((pod) => {
      const id = textOf(pod.id) ?? '';
      const { refusal } = refused.find(({ identity }) => identity === identityOf(pod)) ?? {};
      if (refusal === undefined || this.before.has(id) || this.#ids.has(id)) return [];
      return [`pod ${nameOf(pod)} (${id}), which may be another client's: RunPodSandbox said ${refusal}`];
    });
  }
}

/** Repeats calls to an endpoint that is away, for 30 s in all. */
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
  if (driven.status === 'UNAVAILABLE') throw unavailable(driven.details ?? 'the endpoint is away');
  return driven;
}
