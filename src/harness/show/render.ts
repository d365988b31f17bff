import { columns } from '../../lib/columns';
import { counted } from '../../lib/counted';
import type { ShownTape } from './calls';
import { latencies, type Latency } from './latency';
import { OPEN, type ShownCall } from './shown-call';
import { printable } from '../printable';

/** Longer error details are cut off in the table. The tape contains them in full. */
const MAX_DETAILS = 100;

/** Returns the timeline and the latency table as text. @param shown the calls of the tape that passed the filters. */
export function renderTape({ head, calls, lost }: ShownTape, shown: readonly ShownCall[]): string {
  const { endpoint, runtime_name: name = 'unknown runtime', runtime_version: version = '' } = head.upstream;
  const some = shown.length === calls.length ? '' : `, ${shown.length} shown`;
  const losses = lost === 0 ? '' : `, ${counted(lost, 'line')} lost`;
  const from = `from ${endpoint} (${`${name} ${version}`.trim()})`;
  return [
    `${printable(`Recorded ${head.recorded} ${from}: ${counted(calls.length, 'call')}${some}${losses}`)}\n`,
    shown.length === 0 ? '' : table([TIMELINE, ...shown.map(rowOf)]),
    shown.length === 0 ? '' : table([TABLE, ...latencies(shown).map(latencyRow)]),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function table(rows: readonly (readonly string[])[]): string {
  return columns(rows.map((row) => row.map(printable)));
}

const TIMELINE = ['SECOND', 'METHOD', 'POD', 'CONTAINER', 'MS', 'STATUS', ''];
const TABLE = ['METHOD', 'CALLS', 'FAILED', 'P50 MS', 'P90 MS', 'P99 MS', 'MAX MS'];

function rowOf(call: ShownCall): string[] {
  const { t, method, api, pod = '-', container = '-', ms, status } = call;
  const named = api === undefined || api === 'v1' ? method : `${method} (${api})`;
  return [t.toFixed(3), named, pod, container, shownMs(ms), status, notesOf(call)];
}

function notesOf({ messages, by, details, faults, status, deadline_ms }: ShownCall): string {
  const cut =
    details !== undefined && details.length > MAX_DETAILS ? `${details.slice(0, MAX_DETAILS)}…` : details;
  return [
    ...faults.map((fault) => `injected: ${fault}`),
    ...(messages === 0 ? [] : [counted(messages, 'message')]),
    ...(by === undefined ? [] : [`ended by the ${by}`]),
    ...(status === 'DEADLINE_EXCEEDED' && deadline_ms !== undefined
      ? [`deadline ${shownMs(deadline_ms)} ms`]
      : []),
    ...(status === OPEN ? ['its end is not on the tape'] : []),
    ...(cut === undefined ? [] : [cut]),
  ].join('; ');
}

function latencyRow({ method, calls, failed, p50, p90, p99, max }: Latency): string[] {
  return [method, String(calls), String(failed), ...[p50, p90, p99, max].map(shownMs)];
}

function shownMs(ms: number | undefined): string {
  if (ms === undefined) return '-';
  return ms < 10 ? ms.toFixed(2) : ms.toFixed(0);
}
