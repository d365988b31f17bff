import { readdir } from 'node:fs/promises';
import type { CallLanes } from '../../docker/call-lanes';
import { coalesce } from '../../lib/async/shared-work';
import type { LogFields } from '../../lib/logger';
import type { WorkInProgress } from '../../lib/async/stopping';
import { askLogs, countStates, type MetricSources } from '../../metrics/sources';
import type { NetworkKeeper, PodNetwork } from '../../network/pod-network';
import type { Store } from '../../store/store';
import type { EngineTrouble } from '../../sync/engine-watch';
import type { LinkState } from '../../sync/link-state';
import type { EngineLane, StatusReport } from './report';

/** More calls than this say no more of what is wrong, and would fill more than a screen. */
const OLDEST_CALLS = 20;
/** A subject is as long as its client likes; names and ids are shorter. */
const MAX_SUBJECT = 253;
/** Lasts as long as kubelet likes: its age says nothing. */
const ENDLESS = 'GetContainerEvents';

/** What a report is made of. */
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
  /** Infinity where there is none. */
  readonly fileLimit: number;
}

/** Makes reports from what is in memory, without an Engine call; those who ask together get the same one. */
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
