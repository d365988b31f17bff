import type { Json, JsonObject } from '../../proto/fields';
import { objectOf, objectsOf, textOf } from '../json';
import { TELLING, type Subjects } from '../subjects';
import type { StreamMessage, TapeLine } from '../tape/format';
import type { ContainerEvent, LifeState, StateChange } from './page-data';

type Kind = StateChange['of'];
type Told = Pick<StateChange, 't' | 'n' | 'by'> & Partial<Pick<StateChange, 'exit_code' | 'reason'>>;
type Growing<Value> = { -readonly [Key in keyof Value]: Value[Key] };

/** The states of a sandbox or container, in order. Some of them may be skipped. */
const ORDER: readonly LifeState[] = ['created', 'running', 'exited', 'removed'];

/** The state of the sandbox or container that a request names, after the call has succeeded. */
const DONE: Readonly<Record<string, readonly [Kind, LifeState]>> = {
  StopPodSandbox: ['sandbox', 'exited'],
  RemovePodSandbox: ['sandbox', 'removed'],
  StartContainer: ['container', 'running'],
  StopContainer: ['container', 'exited'],
  RemoveContainer: ['container', 'removed'],
};
/** The states of CRI, in the terms of the page. */
const STATES: Readonly<Record<string, LifeState>> = {
  SANDBOX_READY: 'running',
  SANDBOX_NOTREADY: 'exited',
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
};
const EVENTS: Readonly<Record<string, readonly [ContainerEvent['type'], LifeState]>> = {
  CONTAINER_CREATED_EVENT: ['created', 'created'],
  CONTAINER_STARTED_EVENT: ['started', 'running'],
  CONTAINER_STOPPED_EVENT: ['stopped', 'exited'],
  CONTAINER_DELETED_EVENT: ['deleted', 'removed'],
};
export const EVENT_STREAM = 'GetContainerEvents';

/**
 * Follows the states of sandboxes and containers in the answers and events of a tape. A state begins at the first line that reports it.
 * A line that reports an earlier state than before is ignored, because an answer can arrive late.
 */
export class Lives {
  readonly #states = new Map<string, Growing<StateChange>[]>();
  readonly #events: Growing<ContainerEvent>[] = [];
  /** The number of a running call → the ids in its request. */
  readonly #asked = new Map<number, Partial<Record<Kind, string>>>();

  add(line: TapeLine): void {
    if ('end' in line || 'lost' in line || 'fault' in line) return;
    if ('status' in line) {
      const asked = this.#asked.get(line.n) ?? {};
      this.#asked.delete(line.n);
      if (line.status === 'OK') this.#answered(line.method, asked, line.response, told(line, 'answer'));
    } else if ('message' in line) {
      if (line.method === EVENT_STREAM) this.#event(line);
      else this.#answered(line.method, {}, line.message, told(line, 'answer'));
    } else {
      const { container_id: container, pod_sandbox_id: sandbox } = objectOf(line.request);
      this.#asked.set(line.n, {
        ...(typeof container === 'string' ? { container } : {}),
        ...(typeof sandbox === 'string' ? { sandbox } : {}),
      });
    }
  }

  /** Returns the changes of state in order of time. @param subjects maps ids to names. */
  states(subjects: Subjects): readonly StateChange[] {
    return [...this.#states.values()]
      .flat()
      .map((change) => ({ ...change, ...placeOf(subjects, change.id, change.of) }))
      .sort((one, other) => one.t - other.t);
  }

  events(subjects: Subjects): readonly ContainerEvent[] {
    return this.#events.map((event) => ({
      ...event,
      ...placeOf(subjects, event.id, this.#isSandbox(event.id) ? 'sandbox' : 'container'),
    }));
  }

  #answered(method: string, asked: Partial<Record<Kind, string>>, answer: Json | undefined, by: Told): void {
    const fields = objectOf(answer);
    const [kind, state] = own(DONE, method) ?? [];
    if (kind !== undefined && state !== undefined) this.#change(kind, asked[kind], state, by);
    if (method === 'RunPodSandbox') this.#change('sandbox', textOf(fields.pod_sandbox_id), 'running', by);
    if (method === 'CreateContainer') this.#change('container', textOf(fields.container_id), 'created', by);
    if (!TELLING.has(method)) return;
    for (const item of objectsOf(fields.items)) this.#status('sandbox', item, by);
    for (const item of [...objectsOf(fields.containers), ...objectsOf(fields.containers_statuses)])
      this.#status('container', item, by);
    if (method === 'PodSandboxStatus') this.#status('sandbox', objectOf(fields.status), by);
    if (method === 'ContainerStatus') this.#status('container', objectOf(fields.status), by);
  }

  #event({ n, t, message }: StreamMessage): void {
    const fields = objectOf(message);
    const id = textOf(fields.container_id);
    const [type, state] = own(EVENTS, textOf(fields.container_event_type) ?? 'CONTAINER_CREATED_EVENT') ?? [];
    const by = told({ n, t }, 'event');
    const sandbox = objectOf(fields.pod_sandbox_status);
    this.#status('sandbox', sandbox, by);
    for (const status of objectsOf(fields.containers_statuses)) this.#status('container', status, by);
    if (id === undefined || type === undefined || state === undefined) return;
    this.#events.push({ n, t, id, type });
    const isSandbox = sandbox.id === id || this.#isSandbox(id);
    // A created event does not make a sandbox ready, so it is not a change of state.
    if (!isSandbox) this.#change('container', id, state, by);
    else if (state !== 'created') this.#change('sandbox', id, state, by);
  }

  #status(kind: Kind, status: JsonObject, by: Told): void {
    // Proto3 JSON leaves out the first value of an enum.
    const first = kind === 'sandbox' ? 'SANDBOX_READY' : 'CONTAINER_CREATED';
    const state = own(STATES, textOf(status.state) ?? first);
    if (state === undefined) return;
    // A list contains no exit codes, and the JSON of a status leaves out the code 0. Only a status has `finished_at`.
    const isWhole = kind === 'container' && state === 'exited' && status.finished_at !== undefined;
    const code = typeof status.exit_code === 'number' ? status.exit_code : isWhole ? 0 : undefined;
    const reason = textOf(status.reason);
    this.#change(kind, textOf(status.id), state, {
      ...by,
      ...(code === undefined ? {} : { exit_code: code }),
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #change(kind: Kind, id: string | undefined, state: LifeState, by: Told): void {
    if (id === undefined) return;
    const changes = this.#states.get(id) ?? [];
    this.#states.set(id, changes);
    const last = changes.at(-1);
    if (last === undefined || ORDER.indexOf(state) > ORDER.indexOf(last.state))
      changes.push({ id, of: kind, state, ...by });
    else if (last.state === state) {
      // StopContainer does not report the exit code, but a later status does.
      if (last.exit_code === undefined && by.exit_code !== undefined) last.exit_code = by.exit_code;
      if (last.reason === undefined && by.reason !== undefined) last.reason = by.reason;
    }
  }

  #isSandbox(id: string): boolean {
    return this.#states.get(id)?.[0]?.of === 'sandbox';
  }
}

function told({ n, t }: { n: number; t: number }, by: StateChange['by']): Told {
  return { n, t, by };
}

function placeOf(subjects: Subjects, id: string, kind: Kind): { pod?: string; container?: string } {
  return kind === 'sandbox' ? subjects.of({ pod_sandbox_id: id }) : subjects.of({ container_id: id });
}

/** Returns the value of a table's own key. A key from a tape could also be a property of every object, such as `constructor`. */
function own<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
