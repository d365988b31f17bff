import type { ContainerEvent, PageCall, PageRun, StateChange } from '../src/harness/html/page-data';

/** A row of the waterfall: a heading, or calls with the states and events of their sandbox or container. */
export interface Row {
  readonly label: string;
  /** A heading has no calls. The rows below it belong to it. */
  readonly isHeading: boolean;
  /** Calls that overlap are in different lanes. Within a lane, they are in order of time. */
  readonly lanes: readonly (readonly PageCall[])[];
  /** Whether the row has room for states and events. */
  readonly hasLife: boolean;
  readonly states: readonly StateChange[];
  readonly events: readonly ContainerEvent[];
  /** The distance from the top of the first row, in pixels. */
  readonly top: number;
  readonly height: number;
}

export const LANE = 14;
export const LIFE = 17;
const HEADING = 22;
const PADDING = 6;
/** The key of the sandbox among the containers of a pod. No container has an empty name. */
const SANDBOX = '';
const NODE = 'The whole node';

interface Growing {
  /** A container's name, SANDBOX, or a method. */
  name: string;
  calls: PageCall[];
  states: StateChange[];
  events: ContainerEvent[];
}

/**
 * Arranges calls in rows: first the sandbox and the containers of each pod, in the order in which they appeared, and then the calls that
 * are not about a pod, by method.
 * @param calls the calls to show. Pods without such a call are left out, with their states and events.
 */
export function rowsOf(run: PageRun, calls: readonly PageCall[]): readonly Row[] {
  const pods = new Map<string, Map<string, Growing>>();
  const methods = new Map<string, Growing>();
  for (const call of calls) {
    const { pod, container, method } = call;
    if (pod === undefined) rowIn(methods, method).calls.push(call);
    else rowIn(groupIn(pods, pod), container ?? SANDBOX).calls.push(call);
  }
  for (const change of run.states)
    if (change.pod !== undefined && pods.has(change.pod))
      rowIn(groupIn(pods, change.pod), change.container ?? SANDBOX).states.push(change);
  for (const event of run.events)
    if (event.pod !== undefined && pods.has(event.pod))
      rowIn(groupIn(pods, event.pod), event.container ?? SANDBOX).events.push(event);
  const groups = [...pods].map(([pod, rows]) => ({ label: pod, rows: sandboxFirst(rows), hasLife: true }));
  const node = { label: NODE, rows: [...methods.values()], hasLife: false };
  return placed([...groups, ...(node.rows.length === 0 ? [] : [node])], run.end);
}

function placed(
  groups: readonly { label: string; rows: readonly Growing[]; hasLife: boolean }[],
  end: number,
): readonly Row[] {
  const rows: Row[] = [];
  let top = 0;
  const add = (row: Omit<Row, 'top'>): void => {
    rows.push({ ...row, top });
    top += row.height;
  };
  for (const { label, rows: members, hasLife } of groups) {
    add({ label, isHeading: true, lanes: [], hasLife: false, states: [], events: [], height: HEADING });
    for (const { name, calls, states, events } of members) {
      const lanes = lanesOf(calls, end);
      const height = Math.max(1, lanes.length) * LANE + (hasLife ? LIFE : 0) + PADDING;
      add({
        label: name === SANDBOX ? '(sandbox)' : name,
        isHeading: false,
        lanes,
        hasLife,
        states,
        events,
        height,
      });
    }
  }
  return rows;
}

/** Returns the time at which a call ended, in seconds. An open call lasts until the end of the run. */
export function endOf({ t, ms }: PageCall, end: number): number {
  return ms === undefined ? Math.max(t, end) : t + ms / 1000;
}

/** Puts each call into the first lane that is free when the call begins. */
function lanesOf(calls: readonly PageCall[], end: number): readonly (readonly PageCall[])[] {
  const lanes: { calls: PageCall[]; busyUntil: number }[] = [];
  for (const call of calls) {
    const free = lanes.find(({ busyUntil }) => busyUntil <= call.t);
    const until = endOf(call, end);
    if (free === undefined) lanes.push({ calls: [call], busyUntil: until });
    else {
      free.calls.push(call);
      free.busyUntil = until;
    }
  }
  return lanes.map((lane) => lane.calls);
}

function sandboxFirst(rows: ReadonlyMap<string, Growing>): readonly Growing[] {
  const all = [...rows.values()];
  return [...all.filter(({ name }) => name === SANDBOX), ...all.filter(({ name }) => name !== SANDBOX)];
}

function groupIn(pods: Map<string, Map<string, Growing>>, pod: string): Map<string, Growing> {
  const group = pods.get(pod) ?? new Map<string, Growing>();
  pods.set(pod, group);
  return group;
}

function rowIn(rows: Map<string, Growing>, name: string): Growing {
  const row = rows.get(name) ?? { name, calls: [], states: [], events: [] };
  rows.set(name, row);
  return row;
}
