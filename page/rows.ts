import type { ContainerEvent, PageCall, PageRun, StateChange } from '../src/harness/html/page-data';

/** A line of the waterfall: a heading, or calls with the states and events of what they are about. */
export interface Row {
  readonly label: string;
  /** A heading has no calls; rows below it belong to it. */
  readonly isHeading: boolean;
  /** Calls that overlap in time are in different lanes; within one they are in the order of time. */
  readonly lanes: readonly (readonly PageCall[])[];
  /** Whether there is place for states and events. */
  readonly hasLife: boolean;
  readonly states: readonly StateChange[];
  readonly events: readonly ContainerEvent[];
  /** Pixels from the top of the first row. */
  readonly top: number;
  readonly height: number;
}

export const LANE = 14;
export const LIFE = 17;
const HEADING = 22;
const PADDING = 6;
/** No container has an empty name. */
const SANDBOX = '';
const NODE = 'The whole node';

interface Growing {
  /** A container's name, or SANDBOX, or a method. */
  name: string;
  calls: PageCall[];
  states: StateChange[];
  events: ContainerEvent[];
}

/**
 * Arranges calls by what they are about: for each pod its sandbox and its containers, in the order in which they appeared, and then the calls that are
 * about no pod, by method.
 * @param calls those of the run that are to be seen. Pods without one are left out; their states and events too.
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

/** When a call ended, in seconds. One that is open lasts until the run ended. */
export function endOf({ t, ms }: PageCall, end: number): number {
  return ms === undefined ? Math.max(t, end) : t + ms / 1000;
}

/** Each call goes into the first lane that is free when it begins. */
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
