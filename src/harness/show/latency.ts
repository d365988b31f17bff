import { isFailed, type ShownCall } from './shown-call';

/** How long the calls of one method took, in milliseconds. The times are undefined if no call has ended. */
export interface Latency {
  readonly method: string;
  readonly calls: number;
  readonly failed: number;
  readonly p50: number | undefined;
  readonly p90: number | undefined;
  readonly p99: number | undefined;
  readonly max: number | undefined;
}

/** The method without percentiles, because its client decides how long a call lasts. */
const WATCH = 'GetContainerEvents';

/** Returns one row for each method. The method with the largest total time comes first. */
export function latencies(calls: readonly ShownCall[]): readonly Latency[] {
  const byMethod = new Map<string, ShownCall[]>();
  for (const call of calls) {
    const same = byMethod.get(call.method);
    if (same === undefined) byMethod.set(call.method, [call]);
    else same.push(call);
  }
  return [...byMethod]
    .map(([method, of]) => {
      const times = (method === WATCH ? [] : of)
        .flatMap(({ ms }) => (ms === undefined ? [] : [ms]))
        .sort((one, other) => one - other);
      const row: Latency = {
        ...{ method, calls: of.length, failed: of.filter(({ status }) => isFailed(status)).length },
        ...{ p50: percentile(times, 50), p90: percentile(times, 90) },
        ...{ p99: percentile(times, 99), max: times.at(-1) },
      };
      return { row, total: times.reduce((sum, ms) => sum + ms, 0) };
    })
    .sort((one, other) => other.total - one.total || one.row.method.localeCompare(other.row.method))
    .map(({ row }) => row);
}

/** Returns a percentile by nearest rank, so that the result is the time of an actual call. */
function percentile(sorted: readonly number[], percent: number): number | undefined {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)];
}
