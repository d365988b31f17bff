import type { Json, JsonObject } from '../../proto/fields';
import { asText, objectOf, textOf } from '../json';
import { EVENTS, isChanging, isEnding, isOfAll, isPolled, NEVER } from './kinds';
import type { RecordedCall } from './recorded';
import { statesIn } from './states';

/** A pod sandbox or a container that a tape tells the making of. */
export interface Made {
  readonly what: 'pod' | 'container';
  /** `namespace/name/attempt` of a pod; with `/name/attempt` behind it, of a container. */
  readonly identity: string;
  /** A container's pod: the id that the tape has for it. */
  readonly pod?: string;
}

export interface PlannedCall {
  readonly call: RecordedCall;
  /** Calls of one lane are made one after the other where the recording did so; `''` is the node's. */
  readonly lane: string;
  /** It tells of all pods: what came before it must be done, and what came after it must wait. */
  readonly isOfAll: boolean;
  /** How long after the last change the recording saw what it says, ms: a replay must give it as much time. */
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
  /** Polling calls that said nothing new. */
  readonly collapsed: number;
  /** By the ids of the tape. */
  readonly made: ReadonlyMap<string, Made>;
  /** Containers that ended before anybody stopped them: an early state of theirs may be over before a replay can see it. */
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

/** The ids that stand in a request, but for those of images. */
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
  if (fault !== undefined) return `the recording injected a fault into it: ${fault}`;
  if (method !== EVENTS) {
    if (by === 'client') {
      if (method !== 'ExecSync' || status !== 'DEADLINE_EXCEEDED') return 'its client gave it up';
    } else if (by !== undefined) return `it was ended by the ${by}`;
    if (status === 'open') return 'its end is not on the tape';
  }
  const strange = idsIn(request).find((id) => !made.has(id));
  // Who asks for what is not there gets an answer that can be compared; who changes it might meet another's.
  if (strange === undefined || (isPolled(method) && status !== 'OK')) return undefined;
  return `it is about ${strange.slice(0, 13)}, which was made before the recording began or is not on the tape`;
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

/** @param config of a pod, or one of CRI's lists' items: what has metadata. */
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

/** Keeps a polling call if something has changed since the last one like it, or if it says another thing. */
class Polls {
  readonly #kept = new Map<string, { readonly said: string; readonly change: number }>();
  /** When the last change ended, of each lane and of all. */
  readonly #changes = new Map<string, number[]>();

  /** @returns how long ago the last change was, ms; undefined for a call that says nothing new. */
  isNew(call: RecordedCall, lane: string, ofAll: boolean): number | undefined {
    const { method, request, t } = call;
    if (!isPolled(method)) {
      if (isChanging(method)) for (const where of [lane, ALL]) this.#change(where, call.end);
      return 0;
    }
    const key = `${method} ${JSON.stringify(request)}`;
    const said = JSON.stringify([call.status, [...statesIn(method, call)].sort()]);
    const changes = (this.#changes.get(ofAll ? ALL : lane) ?? []).filter((end) => end <= t);
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

/** No lane has this name. */
const ALL = '\n';
