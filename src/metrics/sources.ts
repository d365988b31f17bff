import type { Counter } from 'prom-client';
import { waitAtMost } from '../lib/async/deadline';
import { ContainerState } from '../proto/enums';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import { isReady } from '../store/states';
import type { Store } from '../store/store';
import { containerState } from '../translate/container/container-status';
import type { Metrics } from './series';

/**
 * Time limit in ms for the log worker's counters. The worker usually answers within milliseconds. If it is stuck, a scrape omits its
 * counters.
 */
const LOGS_PATIENCE_MS = 2_000;

export interface LogCounters {
  readonly followed: number;
  readonly lagBytes: number;
  readonly largestLagBytes: number;
  readonly records: number;
  readonly bytes: number;
  readonly gaps: number;
  readonly unreadable: number;
  readonly stalls: number;
}

export interface LaneCounters {
  readonly lane: string;
  readonly slow: number;
  readonly waiting: number;
  readonly oldestWaitMs: number;
  readonly oldestCallMs: number;
}

/** The parts of the daemon that are read at each scrape. */
export interface MetricSources {
  readonly store: Store;
  readonly link: {
    readonly state: { readonly ready: boolean };
    readonly trouble: { readonly isStuck: boolean } | undefined;
  };
  readonly lanes: { readonly load: readonly LaneCounters[] };
  readonly logs: {
    readonly trouble?: { readonly reason: string; readonly message: string } | undefined;
    stats?(): Promise<LogCounters>;
  };
  readonly podEvents: {
    readonly stats: {
      readonly published: number;
      readonly consumers: number;
      readonly cutOff: number;
      readonly backlog: number;
    };
  };
  readonly streaming: { readonly sessionCount: number };
  readonly network: { condition(): { readonly ready: boolean } };
  readonly droppedLogLines: () => number;
}

export async function sampleSources(metrics: Metrics, sources: MetricSources): Promise<void> {
  const { store, link, podEvents, streaming } = sources;
  metrics.engineUp.set(link.state.ready ? 1 : 0);
  metrics.engineStuck.set(link.trouble?.isStuck === true ? 1 : 0);
  metrics.networkReady.set(sources.network.condition().ready ? 1 : 0);
  sampleEngine(metrics, store);
  sampleLanes(metrics, sources);
  const counts = countStates(store);
  for (const [state, count] of Object.entries(counts.sandboxes)) metrics.sandboxes.set({ state }, count);
  for (const [state, count] of Object.entries(counts.containers)) metrics.containers.set({ state }, count);
  metrics.images.set(store.images.size);
  const { published, consumers, cutOff, backlog } = podEvents.stats;
  setTotal(metrics.podEvents, published);
  setTotal(metrics.eventCutOffs, cutOff);
  metrics.eventConsumers.set(consumers);
  metrics.eventBacklog.set(backlog);
  metrics.streamingSessions.set(streaming.sessionCount);
  setTotal(metrics.ownLogDropped, sources.droppedLogLines());
  await sampleLogs(metrics, sources);
}

function sampleEngine({ engineInfo }: Metrics, { engine }: Store): void {
  engineInfo.reset();
  if (engine === undefined) return;
  const { engineVersion, apiVersion, storageDriver, cgroupDriver } = engine;
  engineInfo.set(
    {
      version: engineVersion,
      api_version: apiVersion,
      storage_driver: storageDriver,
      cgroup_driver: cgroupDriver,
    },
    1,
  );
}

function sampleLanes(metrics: Metrics, { lanes }: MetricSources): void {
  for (const { lane, slow, waiting, oldestWaitMs, oldestCallMs } of lanes.load) {
    metrics.laneSlow.set({ lane }, slow);
    metrics.laneWaiting.set({ lane }, waiting);
    metrics.laneOldestWait.set({ lane }, oldestWaitMs / 1000);
    metrics.laneOldestCall.set({ lane }, oldestCallMs / 1000);
  }
}

async function sampleLogs(metrics: Metrics, { logs }: MetricSources): Promise<void> {
  metrics.logsHung.set(logs.trouble?.reason === 'LogsHang' ? 1 : 0);
  metrics.logsWithoutThread.set(logs.trouble?.reason === 'LogsWithoutThread' ? 1 : 0);
  const stats = await askLogs(logs);
  if (stats === undefined) return;
  metrics.logsFollowed.set(stats.followed);
  metrics.logLag.set(stats.lagBytes);
  metrics.logLargestLag.set(stats.largestLagBytes);
  setTotal(metrics.logRecords, stats.records);
  setTotal(metrics.logBytes, stats.bytes);
  setTotal(metrics.logGaps, stats.gaps);
  setTotal(metrics.logUnreadable, stats.unreadable);
  setTotal(metrics.logStalls, stats.stalls);
}

/** @returns undefined when the logs have no counters, or do not answer in time. Never rejects. */
export async function askLogs(logs: MetricSources['logs']): Promise<LogCounters | undefined> {
  const asked = logs.stats?.();
  return asked && waitAtMost('The log counters', LOGS_PATIENCE_MS, asked).catch(() => undefined);
}

/** Sets a counter whose total is counted elsewhere. prom-client can only increase a counter, so this resets the counter and adds the total. */
function setTotal(metric: Counter, total: number): void {
  metric.reset();
  metric.inc(total);
}

/** The numbers of sandboxes and containers in each state. States without any have the number 0. */
export interface StateCounts {
  readonly sandboxes: { readonly ready: number; readonly notready: number };
  /** Counts by state. The states have CRI's names in lower case: created, running, exited, unknown. */
  readonly containers: Readonly<Record<string, number>>;
}

const NAMES = new Map(
  Object.entries(ContainerState).map(([name, state]) => [
    state,
    name.replace(/^CONTAINER_/, '').toLowerCase(),
  ]),
);

export function countStates(store: {
  readonly sandboxes: { values(): Iterable<SandboxRecord> };
  readonly containers: { values(): Iterable<ContainerRecord> };
}): StateCounts {
  const sandboxes = [...store.sandboxes.values()];
  const ready = sandboxes.filter(isReady).length;
  const containers = Object.fromEntries([...NAMES.values()].map((name) => [name, 0]));
  for (const container of store.containers.values()) {
    const name = NAMES.get(containerState(container)) ?? 'unknown';
    containers[name] = (containers[name] ?? 0) + 1;
  }
  return { sandboxes: { ready, notready: sandboxes.length - ready }, containers };
}
