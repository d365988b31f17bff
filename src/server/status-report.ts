import { readdir } from 'node:fs/promises';
import type { CallLanes, LaneLoad } from '../docker/call-lanes';
import { coalesce } from '../lib/async/shared-work';
import type { WorkInProgress } from '../lib/async/stopping';
import type { LogFields } from '../lib/logger';
import { askLogs, type MetricSources, countStates, type StateCounts } from '../metrics/sources';
import type { NetworkKeeper, PodNetwork } from '../network/pod-network';
import type { Store } from '../store/store';
import type { EngineTrouble } from '../sync/engine-watch';
import type { LinkState } from '../sync/link-state';

/** The state of a running daemon, as `dockbridge status -o json` prints it. Ages are in seconds. */
export interface StatusReport extends StateCounts {
  readonly version: string;
  readonly pid: number;
  readonly uptime: number;
  /** Why new work is refused; '' when it is accepted. */
  readonly refuses: string;
  readonly engine: {
    /** `slow` means that the Engine answers late. `stuck` means that it answers pings but cannot run pods. */
    readonly state: 'connected' | 'slow' | 'stuck' | 'away';
    /** The reason for this state; '' when the state is `connected`. */
    readonly reason: string;
    /** How long the Engine has been connected, or away. */
    readonly since: number;
    /** '' until the Engine has reported its version. */
    readonly version: string;
    readonly apiVersion: string;
    readonly storageDriver: string;
  };
  readonly network: {
    readonly ready: boolean;
    readonly reason: string;
    readonly message: string;
    /** The number of networks of removed pods that a plugin has not freed yet. */
    readonly left: number;
    /** The number of failed plugin runs, keyed by plugin and command, such as `bridge ADD`. */
    readonly failures: Readonly<Record<string, number>>;
  };
  readonly logs: {
    /** '' when there is no trouble. */
    readonly trouble: string;
    /** Undefined when the logs are links, or when the log thread does not answer. */
    readonly followed?: number;
    readonly lagBytes?: number;
    readonly gaps?: number;
    readonly stalls?: number;
    readonly unreadable?: number;
  };
  readonly images: number;
  readonly sessions: number;
  readonly eventConsumers: number;
  readonly calls: {
    /** The number of CRI calls that have not been answered yet, without GetContainerEvents. */
    readonly inFlight: number;
    /** The oldest of these calls. */
    readonly oldest: readonly CallInFlight[];
    /** Calls to the Engine by kind. Kinds without calls are omitted. */
    readonly engine: readonly EngineLane[];
  };
  readonly process: {
    readonly residentBytes: number;
    readonly openFiles: number;
    /** Undefined if there is no limit. */
    readonly fileLimit?: number | undefined;
  };
}

export interface CallInFlight {
  readonly method: string;
  readonly age: number;
  /** The pod, sandbox, container and image that the call names. */
  readonly about: LogFields;
}

export interface EngineLane {
  readonly lane: LaneLoad['lane'];
  readonly underWay: number;
  readonly slow: number;
  readonly waiting: number;
  readonly oldestWait: number;
  readonly oldestCall: { readonly what: string; readonly age: number };
}

/** How many calls a report lists. More would not help to find the trouble, and would not fit on a screen. */
const OLDEST_CALLS = 20;
/** Limit of a subject in characters. Names and ids are shorter, but a client may send text of any length. */
const MAX_SUBJECT = 253;
/** The call that lasts as long as kubelet stays connected, so that its age has no meaning. */
const ENDLESS = 'GetContainerEvents';

/** The sources of a report. */
export interface StatusSources {
  readonly version: string;
  readonly store: Store;
  readonly link: {
    readonly state: LinkState;
    readonly stateAge: number;
    readonly trouble: EngineTrouble | undefined;
  };
  readonly lanes: Pick<CallLanes, 'load'>;
  readonly logs: MetricSources['logs'];
  readonly network: Pick<PodNetwork, 'condition'> & Pick<NetworkKeeper, 'heldSandboxes'>;
  readonly pluginFailures: () => Promise<Readonly<Record<string, number>>>;
  readonly podEvents: { readonly stats: { readonly consumers: number } };
  readonly streaming: { readonly sessionCount: number };
  readonly calls: () => readonly WorkInProgress[];
  readonly gate: { readonly closedFor: string | undefined };
  /** Infinity if there is no limit. */
  readonly fileLimit: number;
}

/**
 * Returns a function that makes reports without an Engine call. Concurrent callers share one report.
 */
export function statusReporter(sources: StatusSources): () => Promise<StatusReport> {
  return coalesce(() => report(sources));
}

async function report(sources: StatusSources): Promise<StatusReport> {
  const { version, store, lanes, logs, podEvents, streaming, gate, fileLimit } = sources;
  const calls = sources.calls().filter(({ name }) => name !== ENDLESS);
  const [{ length: openFiles }, failures, counters] = await Promise.all([
    readdir('/proc/self/fd'),
    sources.pluginFailures(),
    askLogs(logs),
  ]);
  return {
    ...{ version, pid: process.pid, uptime: process.uptime(), refuses: gate.closedFor ?? '' },
    engine: engineState(sources),
    network: networkState(sources, failures),
    logs: { trouble: logs.trouble?.message ?? '', ...counters },
    ...countStates(store),
    ...{ images: store.images.size, sessions: streaming.sessionCount },
    eventConsumers: podEvents.stats.consumers,
    calls: {
      inFlight: calls.length,
      oldest: calls
        .slice(0, OLDEST_CALLS)
        .map(({ name, age, about }) => ({ method: name, age: age / 1000, about: shortened(about) })),
      engine: lanes.load.filter(({ underWay, waiting }) => underWay + waiting > 0).map(engineLane),
    },
    process: {
      residentBytes: process.memoryUsage.rss(),
      openFiles,
      ...(Number.isFinite(fileLimit) ? { fileLimit } : {}),
    },
  };
}

function engineState({ link, store: { engine } }: StatusSources): StatusReport['engine'] {
  const { state, trouble, stateAge } = link;
  return {
    state: !state.ready ? 'away' : trouble === undefined ? 'connected' : trouble.isStuck ? 'stuck' : 'slow',
    reason: state.ready ? (trouble?.message ?? '') : state.reason,
    since: stateAge / 1000,
    version: engine?.engineVersion ?? '',
    apiVersion: engine?.apiVersion ?? '',
    storageDriver: engine?.storageDriver ?? '',
  };
}

function networkState(
  { network, store }: StatusSources,
  failures: StatusReport['network']['failures'],
): StatusReport['network'] {
  const { ready, reason, message } = network.condition();
  const left = network.heldSandboxes().filter((id) => store.sandboxes.get(id) === undefined).length;
  return { ready, reason, message, left, failures };
}

function engineLane(load: CallLanes['load'][number]): EngineLane {
  const { lane, underWay, slow, waiting, oldestWaitMs, oldestCallMs, oldestCall } = load;
  return {
    ...{ lane, underWay, slow, waiting, oldestWait: oldestWaitMs / 1000 },
    oldestCall: { what: oldestCall, age: oldestCallMs / 1000 },
  };
}

function shortened(about: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(about).map(([key, value]) => [key, String(value).slice(0, MAX_SUBJECT)]),
  );
}
