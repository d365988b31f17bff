import { pause } from '../../lib/async/abortable';
import { Semaphore } from '../../lib/async/concurrency';
import { cancelled, messageOf, unavailable } from '../../lib/errors';
import { objectOf, textOf } from '../json';
import { requestType } from '../methods';
import type { ObservedCall } from '../observation';
import type { JsonObject } from '../../proto/fields';
import { withoutUnknown } from '../../proto/without-unknown';
import { Awaiting } from './awaiting';
import type { Bindings } from './bindings';
import type { Driven, Endpoint } from './endpoint';
import { EventStream } from './event-stream';
import type { Explained } from './explained';
import type { Images } from './images';
import { EVENTS, isPolled } from '../methods';
import { MAKING } from './method-kinds';
import { dependencies } from './order';
import type { OwnPods } from './own-pods';
import { idsIn, type Plan, type PlannedCall, type SkippedCall } from './replay-plan';
import type { RecordedCall } from './recorded';
import { NotPossible, withRecorded, type Requests } from './requests';
import { keptMessages, restricted } from './reported-states';

/** The number of concurrent calls over all pods. kubelet has no such limit, but more calls at once make no runtime faster. */
const AT_ONCE = 32;
/** kubelet's limit for most calls. */
const DEADLINE_MS = 120_000;
/** The deadline for pulls, for which kubelet has none. */
const PULL_MS = 600_000;
/** How long the replay waits for an endpoint that does not answer before it gives up, ms. */
const AWAY_MS = 3_000;

export interface RunParts {
  readonly plan: Plan;
  readonly endpoint: Endpoint;
  readonly own: OwnPods;
  readonly bindings: Bindings;
  readonly images: Images;
  readonly requests: Requests;
  readonly explained: Explained;
  readonly speed: 'max' | '1x';
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

interface Result {
  readonly call: RecordedCall;
  readonly t: number;
  readonly request: JsonObject;
  readonly driven: Driven;
}

/** Makes the calls of a plan on an endpoint and keeps the answers. */
export class Run {
  readonly skipped: SkippedCall[] = [];
  /** How many states were over before the replay could see them. */
  passed = 0;
  /** How many calls were answered after their recorded deadline. */
  late = 0;
  readonly #began = performance.now();
  readonly #results: Result[] = [];
  readonly #tasks: Promise<void>[] = [];
  /** One promise for each planned call, which resolves when other calls need no longer wait for it. */
  readonly #done: Promise<void>[] = [];
  readonly #streams: Promise<void>[] = [];
  /** One promise for each event stream, which resolves at its end. Calls that came after this end in the recording wait for it. */
  readonly #streamEnds = new Map<RecordedCall, Promise<void>>();
  readonly #semaphore = new Semaphore(AT_ONCE);
  readonly #abort = new AbortController();
  readonly #awaiting: Awaiting;

  constructor(private readonly parts: RunParts) {
    this.#awaiting = new Awaiting(parts);
  }

  /** Returns the calls of the tape that were replayed, in the order of the tape. */
  get replayed(): readonly RecordedCall[] {
    return this.#inOrder().map(({ call }) => call);
  }

  /** Returns the endpoint's answers, with the paths and names of the recording. */
  observed(): ObservedCall[] {
    const { bindings, requests } = this.parts;
    const { hidden } = requests;
    const keep = (id: string): boolean => bindings.recorded(id) !== undefined;
    const mapped = (message: JsonObject): JsonObject => requests.asRecorded(message);
    return this.#inOrder().map(
      ({ call: { n, method, pod, container, request: asked, response: was }, t, request, driven }) => ({
        ...{ n, t, method },
        request: withRecorded(mapped(request), withoutUnknown(requestType(method), asked)),
        ...{ ms: driven.ms, status: driven.status },
        ...(driven.details === undefined ? {} : { details: requests.textAsRecorded(driven.details) }),
        ...(driven.response === undefined
          ? {}
          : { response: hidden.inAnswer(mapped(restricted(driven.response, keep)), was) }),
        ...(driven.messages === undefined
          ? {}
          : { messages: keptMessages(method, driven.messages, keep).map(mapped) }),
        ...(pod === undefined ? {} : { pod }),
        ...(container === undefined ? {} : { container }),
      }),
    );
  }

  /** Makes all calls. @throws if the endpoint no longer answers, or if the signal fired. */
  async all(): Promise<void> {
    const { plan, signal } = this.parts;
    const end = (): void => this.#abort.abort(cancelled('the replay was interrupted'));
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    try {
      const waitsFor = dependencies(plan.calls);
      for (const [at, planned] of plan.calls.entries()) {
        const before = (waitsFor[at] ?? []).flatMap((other) => this.#done[other] ?? []);
        const ended = [...this.#streamEnds].filter(([{ end }]) => end <= planned.call.t);
        const task = this.#make(planned, [...before, ...ended.map(([, end]) => end)]);
        this.#tasks.push(task);
        if (planned.call.method !== EVENTS) this.#done.push(task);
        task.catch((error: unknown) => this.#abort.abort(error));
      }
      await Promise.all(this.#tasks);
      await Promise.all(this.#streams);
      this.#abort.signal.throwIfAborted();
    } finally {
      signal.removeEventListener('abort', end);
      // Ends the streams that are still open.
      this.#abort.abort(cancelled('the replay is over'));
    }
  }

  /** Resolves when all calls and streams have ended. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#tasks, ...this.#streams]);
  }

  async #make(planned: PlannedCall, before: readonly Promise<void>[]): Promise<void> {
    const { call } = planned;
    let isOpen = (): void => undefined;
    let hasEnd = (): void => undefined;
    if (call.method === EVENTS) {
      this.#done.push(new Promise((resolve) => (isOpen = resolve)));
      this.#streamEnds.set(call, new Promise((resolve) => (hasEnd = resolve)));
    }
    try {
      await Promise.all(before);
      if (this.parts.speed === '1x') await this.#until(call.t);
      this.#abort.signal.throwIfAborted();
      if (call.method === EVENTS) await this.#openEvents(call, hasEnd);
      else await this.#semaphore.run(async () => this.#perform(planned), this.#abort.signal);
    } catch (error) {
      hasEnd();
      throw error;
    } finally {
      isOpen();
    }
  }

  async #perform(planned: PlannedCall): Promise<void> {
    const { call } = planned;
    const { own, images } = this.parts;
    this.#abort.signal.throwIfAborted();
    const request = await this.#request(call);
    if (request === undefined) return;
    const image = textOf(objectOf(request.image).image);
    if (call.method === 'PullImage' && image !== undefined && (await images.isPresent(image))) {
      this.#skip(call, 'the endpoint already has this image');
      return;
    }
    if (call.method === 'RemoveImage' && !own.hasPulled(image ?? '')) {
      this.#skip(call, 'the image was not pulled by this replay');
      return;
    }
    const t = this.#now();
    const driven = isPolled(call.method)
      ? await this.#polled(planned, request)
      : call.method === 'RunPodSandbox'
        ? await own.making(objectOf(request.config), async () => this.#once(call, request))
        : await this.#once(call, request);
    if (driven === undefined) return;
    this.#results.push({ call, t, request, driven });
    if (driven.status !== 'DEADLINE_EXCEEDED' && driven.ms > (call.deadlineMs ?? Infinity)) this.late++;
    this.#learn(call, image, driven);
    if (driven.status === 'UNAVAILABLE' && call.status !== 'UNAVAILABLE') await this.#findOutWhetherGone();
  }

  async #request(call: RecordedCall): Promise<JsonObject | undefined> {
    const { plan, bindings, requests } = this.parts;
    const strange = idsIn(call.request).find((id) => plan.made.has(id) && bindings.live(id) === undefined);
    if (strange !== undefined) {
      const { what, identity } = plan.made.get(strange) ?? { what: 'pod', identity: strange };
      this.#skip(
        call,
        `the ${what} ${identity} does not exist, because the call that creates it was not replayed or failed`,
      );
      return undefined;
    }
    try {
      return await requests.for(call.method, requestType(call.method), call.request);
    } catch (error) {
      if (!(error instanceof NotPossible)) throw error;
      this.#skip(call, error.message);
      return undefined;
    }
  }

  async #once(call: RecordedCall, request: JsonObject): Promise<Driven | undefined> {
    const { method } = call;
    // A call that creates something is not aborted, because its id is needed for the removal.
    const signal = MAKING.has(method) ? undefined : this.#abort.signal;
    const deadlineMs = this.#deadline(call);
    try {
      return await this.parts.endpoint.call(method, request, { deadlineMs, signal });
    } catch (error) {
      this.#skip(call, `its request could not be made: ${messageOf(error)}`);
      return undefined;
    }
  }

  async #polled(planned: PlannedCall, request: JsonObject): Promise<Driven | undefined> {
    const { call, sinceMs } = planned;
    const reached = await this.#awaiting.reach(call, sinceMs, this.#abort.signal, () =>
      this.#once(call, request),
    );
    if (reached?.isPassed !== true) return reached?.driven;
    this.passed++;
    return undefined;
  }

  /**
   * Returns the recorded deadline and `--wait`, because a call that barely met its deadline would miss it on a busy machine. A call that
   * missed its deadline in the recording, whether the client or the runtime noticed this, must miss it again.
   */
  #deadline({ method, deadlineMs, by, ms, status }: RecordedCall): number {
    if (by === 'client') return Math.max(ms, 1);
    const recordedMs = deadlineMs ?? (method === 'PullImage' ? PULL_MS : DEADLINE_MS);
    return recordedMs + (status === 'DEADLINE_EXCEEDED' ? 0 : this.parts.waitMs);
  }

  #learn({ method, response: recorded }: RecordedCall, image: string | undefined, driven: Driven): void {
    const { own, bindings } = this.parts;
    for (const name of ['pod_sandbox_id', 'container_id'] as const) {
      if (!MAKING.has(method)) continue;
      const [mine, theirs] = [textOf(driven.response?.[name]), textOf(recorded?.[name])];
      if (mine !== undefined && theirs !== undefined) bindings.bind(theirs, mine);
    }
    if (method === 'PullImage' && driven.status === 'OK' && image !== undefined) own.pulled(image);
  }

  async #openEvents(call: RecordedCall, hasEnd: () => void): Promise<void> {
    const { endpoint, bindings, waitMs } = this.parts;
    const t = this.#now();
    const stream = new EventStream(endpoint, bindings, this.#abort.signal);
    await stream.opened;
    const others = (): Promise<void>[] =>
      this.parts.plan.calls.flatMap((other, at) =>
        other.call !== call && other.call.method !== EVENTS && other.call.end <= call.end
          ? (this.#tasks[at] ?? [])
          : [],
      );
    const collect = async (): Promise<void> => {
      await Promise.allSettled(others());
      const driven = await stream.end(call, waitMs);
      this.#results.push({ call, t, request: {}, driven });
    };
    const collected = collect().finally(hasEnd);
    this.#streams.push(collected);
    collected.catch((error: unknown) => this.#abort.abort(error));
  }

  async #findOutWhetherGone(): Promise<void> {
    const { endpoint } = this.parts;
    const end = performance.now() + AWAY_MS;
    for (;;) {
      try {
        await endpoint.version(AWAY_MS);
        return;
      } catch (error) {
        if (performance.now() > end)
          throw unavailable(`${endpoint.address} stopped answering during the replay: ${messageOf(error)}`);
        await pause(100, this.#abort.signal);
        this.#abort.signal.throwIfAborted();
      }
    }
  }

  /** Waits until `t` seconds have passed since the beginning. */
  async #until(t: number): Promise<void> {
    const ms = t * 1000 - (performance.now() - this.#began);
    if (ms > 0) await pause(ms, this.#abort.signal);
  }

  #now(): number {
    return Number(((performance.now() - this.#began) / 1000).toFixed(6));
  }

  #skip(call: RecordedCall, why: string): void {
    this.skipped.push({ call, why });
  }

  #inOrder(): readonly Result[] {
    return [...this.#results].sort((one, other) => one.call.t - other.call.t || one.call.n - other.call.n);
  }
}
