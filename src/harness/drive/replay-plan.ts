import type { Json, JsonObject } from '../../proto/fields';
import { asText, objectOf, textOf } from '../json';
import { EVENTS, isPolled } from '../methods';
import { isChanging, isEnding, isImageChange, isImagePoll, isOfAll, NEVER } from './method-kinds';
import type { RecordedCall } from './recorded';
import { statesIn } from './reported-states';

/** A pod sandbox or a container whose creation is on the tape. */
export interface Made {
  readonly what: 'pod' | 'container';
  /** `namespace/name/attempt` of a pod, followed by `/name/attempt` for a container. */
  readonly identity: string;
  /** For a container: the id of its pod on the tape. */
  readonly pod?: string;
}

export interface PlannedCall {
  readonly call: RecordedCall;
  /** The pod that the call is about; `''` for none. Calls of one lane are made in the recorded order. */
  readonly lane: string;
  /** Whether the call is about all pods: it waits for the calls before it, and the calls after it wait for it. */
  readonly isOfAll: boolean;
  /** The time in the recording from the last change to this call, ms. A replay must wait at least this long for the recorded state. */
  readonly sinceMs: number;
}

export interface SkippedCall {
  readonly call: RecordedCall;
  readonly why: string;
}

export interface Plan {
  /** In the order of the recording. */
  readonly calls: readonly PlannedCall[];
  readonly skipped: readonly SkippedCall[];
  /** How many polling calls are left out because their answers reported nothing new. */
  readonly collapsed: number;
  /** The created pods and containers, by their ids on the tape. */
  readonly made: ReadonlyMap<string, Made>;
  /** Ids of containers that ended before a call stopped them. They may leave an early state before a replay can see it. */
  readonly endsAlone: ReadonlySet<string>;
}

/** Decides which calls of a tape are made again. Pure. */
export function planOf(calls: readonly RecordedCall[]): Plan {
  const made = madeIn(calls);
  const polls = new Polls();
  const planned: PlannedCall[] = [];
  const skipped: SkippedCall[] = [];
  let collapsed = 0;
  for (const call of calls) {
    const why = refusal(call, made);
    if (why !== undefined) {
      skipped.push({ call, why });
      continue;
    }
    const ofAll = (isOfAll(call.method) && call.pod === undefined) || call.method === EVENTS;
    const lane = call.pod ?? '';
    const sinceMs = polls.isNew(call, lane, ofAll);
    if (sinceMs === undefined) collapsed++;
    else planned.push({ call, lane, isOfAll: ofAll, sinceMs });
  }
  return { calls: planned, skipped, collapsed, made, endsAlone: endsAlone(calls) };
}

/** Returns the ids of pods and containers in a request. */
export function idsIn(request: JsonObject): readonly string[] {
  const filter = objectOf(request.filter);
  const target = (config: Json | undefined): Json | undefined => {
    const linux = objectOf(objectOf(config).linux);
    return objectOf(objectOf(linux.security_context).namespace_options).target_id;
  };
  return [
    ...[request.pod_sandbox_id, request.container_id, filter.id, filter.pod_sandbox_id],
    ...[target(request.config), target(request.sandbox_config)],
  ].flatMap((id) => textOf(id) ?? []);
}

function refusal(call: RecordedCall, made: ReadonlyMap<string, Made>): string | undefined {
  const { method, by, faults, request, status } = call;
  if (call.unknown !== undefined) return call.unknown;
  const never = NEVER.get(method);
  if (never !== undefined) return never;
  const [fault] = faults.filter((kind) => kind !== 'delay');
  if (fault !== undefined) return `a fault was injected into it during the recording: ${fault}`;
  if (method !== EVENTS) {
    if (by === 'client') {
      if (method !== 'ExecSync' || status !== 'DEADLINE_EXCEEDED') return 'its client gave up';
    } else if (by !== undefined) return `it was ended by the ${by}`;
    if (status === 'open') return 'its end is not on the tape';
  }
  const strange = idsIn(request).find((id) => !made.has(id));
  // A failed poll about an unknown id can be replayed, because its error can be compared. Any other call could reach another client's pod.
  if (strange === undefined || (isPolled(method) && status !== 'OK')) return undefined;
  return `it is about ${strange.slice(0, 13)}, which was created before the recording began or is not on the tape`;
}

function madeIn(calls: readonly RecordedCall[]): ReadonlyMap<string, Made> {
  const made = new Map<string, Made>();
  for (const { method, request, response } of calls) {
    const config = objectOf(request.config);
    const pod = textOf(response?.pod_sandbox_id);
    if (method === 'RunPodSandbox' && pod !== undefined)
      made.set(pod, { what: 'pod', identity: podIdentity(config) });
    const container = textOf(response?.container_id);
    if (method !== 'CreateContainer' || container === undefined) continue;
    const of = textOf(request.pod_sandbox_id) ?? '';
    const { name, attempt = 0 } = objectOf(config.metadata);
    const parent = made.get(of)?.identity ?? podIdentity(objectOf(request.sandbox_config));
    made.set(container, {
      ...{ what: 'container', pod: of },
      identity: `${parent}/${asText(name)}/${asText(attempt)}`,
    });
  }
  return made;
}

/** Returns `namespace/name/attempt`. @param config a PodSandboxConfig or another object with a pod's metadata. */
export function podIdentity(config: JsonObject): string {
  const { namespace, name, attempt = 0 } = objectOf(config.metadata);
  return `${asText(namespace)}/${asText(name)}/${asText(attempt)}`;
}

function endsAlone(calls: readonly RecordedCall[]): ReadonlySet<string> {
  const containers = new Map<string, string[]>();
  const stopped = new Set<string>();
  const ended = new Set<string>();
  for (const call of calls) {
    const { method, request, response } = call;
    if (method === 'CreateContainer') {
      const pod = textOf(request.pod_sandbox_id) ?? '';
      containers.set(pod, [...(containers.get(pod) ?? []), textOf(response?.container_id) ?? '']);
    }
    if (isEnding(method))
      for (const id of idsIn(request))
        for (const one of [id, ...(containers.get(id) ?? [])]) stopped.add(one);
    for (const [id, state] of statesIn(method, call))
      if (state === 'CONTAINER_EXITED' && !stopped.has(id)) ended.add(id);
  }
  return ended;
}

/** Decides which polling calls are kept: those before which something changed, and those whose answer differs from the last one. */
class Polls {
  readonly #kept = new Map<string, { readonly said: string; readonly change: number }>();
  /** The times at which changes ended, by lane, for all lanes together under ALL, and those of images under IMAGES. */
  readonly #changes = new Map<string, number[]>();

  /** Returns the time since the last change, ms; 0 for a call that is not polled; undefined for a poll that reports nothing new. */
  isNew(call: RecordedCall, lane: string, ofAll: boolean): number | undefined {
    const { method, request, t } = call;
    if (!isPolled(method)) {
      const places = [lane, ALL, ...(isImageChange(method) ? [IMAGES] : [])];
      if (isChanging(method)) for (const where of places) this.#change(where, call.end);
      return 0;
    }
    const key = `${method} ${JSON.stringify(request)}`;
    const said = JSON.stringify([call.status, [...statesIn(method, call)].sort()]);
    const where = isImagePoll(method) ? IMAGES : ofAll ? ALL : lane;
    const changes = (this.#changes.get(where) ?? []).filter((end) => end <= t);
    const change = changes.length;
    const kept = this.#kept.get(key);
    if (kept?.said === said && kept.change === change) return undefined;
    this.#kept.set(key, { said, change });
    return changes.reduce((least, end) => Math.min(least, t - end), t) * 1000;
  }

  #change(where: string, end: number): void {
    const ends = this.#changes.get(where) ?? [];
    ends.push(end);
    this.#changes.set(where, ends);
  }
}

/** No lane has these names. */
const ALL = '\n';
const IMAGES = '\n\n';
