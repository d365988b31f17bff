import type { Settings } from './config/options';
import { CallLanes } from './docker/call-lanes';
import type { DockerClient } from './docker/client';
import { DockerodeClient } from './docker/dockerode-client';
import { isLocalEndpoint } from './docker/transport';
import { instrument, type EngineCall } from './docker/decorators';
import { messageOf } from './lib/errors';
import { fileLimit, mostHeldFiles } from './node/file-limit';
import type { Logger } from './lib/logger';
import type { Tracer } from './lib/tracer';
import type { StartWorker } from './lib/worker-rpc';
import type { ContainerLogs } from './logs/container-logs';
import type { DaemonMetrics } from './metrics/daemon-metrics';
import type { PluginObserver } from './network/cni/plugin-chain';
import type { PodNetworks } from './network/pod-networks';
import type { Checkpoints } from './network/sandbox-checkpoints';
import type { NodeParts } from './node-parts';
import { Probes } from './server/container/probes';
import { Teardowns } from './containers/engine-ops';
import { endLeftCommands } from './server/exec/kill-command';
import type { StartedCommands } from './server/exec/started-commands';
import { createNodeStats, type StatsOverrides } from './stats/create-node-stats';
import type { NodeStats } from './stats/node-stats';
import { NameReservations } from './store/name-reservations';
import { WritableStore, type Store } from './store/store';
import { ContainerEvents } from './containers/events';
import { ContainerResync, type ResyncOverrides } from './containers/resync';
import { ContainerLife } from './containers/life';
import { DiskUsage, type DiskUsageTimes } from './sync/disk-usage';
import type { EngineClaim } from './sync/engine-claim';
import { EngineLink } from './sync/engine-link';
import type { LinkTimes } from './sync/link-times';
import type { Upkeep } from './containers/upkeep';
import { EngineWatch } from './sync/engine-watch';
import { ForeignContainers } from './containers/foreign';
import { ImageSync } from './sync/image-sync';
import { KernelLog } from './node/kernel-log';

/**
 * The time in ms that `0` for --runtime-request-timeout means, as with cri-dockerd. It is slightly less than kubelet's own
 * limit of two minutes.
 */
const DEFAULT_REQUEST_TIMEOUT_MS = 119_000;

/** The parts that tests replace or observe; production passes nothing. */
export interface EngineSideOverrides extends StatsOverrides, Pick<ResyncOverrides, 'inspectMs'> {
  readonly onEngineCall?: (call: EngineCall) => void;
  readonly onPluginRun?: PluginObserver;
  /** Wraps the client to inject faults that a real Engine does not produce on demand. */
  readonly wrapDocker?: (client: DockerClient) => DockerClient;
  readonly linkTimes?: Partial<LinkTimes>;
  /** Starts the log worker and the disk worker. Tests replace it, because a thread cannot load their TypeScript. */
  readonly startWorker?: StartWorker;
  readonly diskUsageTimes?: Partial<DiskUsageTimes>;
}

/** The half of the daemon that works with the Engine and the node. It contains everything that fills the store. */
export interface EngineSide {
  readonly docker: DockerClient;
  readonly localEngine: boolean;
  readonly store: Store;
  readonly reservations: NameReservations;
  readonly network: PodNetworks;
  readonly checkpoints: Checkpoints;
  readonly stats: NodeStats;
  readonly kernelLog: KernelLog;
  readonly probes: Probes;
  readonly teardowns: Teardowns;
  readonly life: ContainerLife;
  readonly imageSync: ImageSync;
  readonly link: EngineLink;
  readonly claim: EngineClaim;
  readonly lanes: CallLanes;
  readonly upkeep: Upkeep | undefined;
}

interface Observers {
  readonly logger: Logger;
  readonly logs: ContainerLogs;
  readonly metrics: DaemonMetrics;
  readonly tracer: Tracer;
  readonly startedCommands: StartedCommands;
}

export async function createEngineSide(
  settings: Settings,
  parts: NodeParts,
  { logger, logs, metrics, tracer, startedCommands }: Observers,
  overrides: EngineSideOverrides,
): Promise<EngineSide> {
  const lanes = new CallLanes();
  const docker = createClient(settings, parts, lanes, { metrics, tracer }, overrides);
  const network = await parts.openNetwork(
    {
      observe: (report) => {
        metrics.onPluginRun(report);
        overrides.onPluginRun?.(report);
      },
      onUnserved: (capability) => metrics.onUnserved(capability),
      tracer,
    },
    (sandboxId) => void refresh(sandboxId),
  );
  const { checkpoints } = parts;
  network.setPodCidr(settings.podCidr);
  const store = new WritableStore();
  store.podCidr = settings.podCidr;
  const reservations = new NameReservations();
  const localEngine = isLocalEndpoint(settings.dockerEndpoint);
  const stats = await createNodeStats({
    ...{ store, localEngine, logger },
    engine: docker,
    choice: settings.statsSource,
    heldFiles: mostHeldFiles(fileLimit()),
    overrides,
  });
  const kernelLog = new KernelLog();
  const probes = new Probes({ docker, logger });
  const life = new ContainerLife({
    docker,
    store,
    logs,
    network,
    checkpoints,
    logger,
    localEngine,
    upkeep: parts.upkeep,
    unfinished: await parts.openUnfinished(),
    kernelLog: localEngine ? kernelLog : undefined,
  });
  life.watchLimits();
  const refresh = (sandboxId: string): Promise<void> =>
    life.refresh(sandboxId).catch((error: unknown) => {
      logger.warn('Cannot inspect a sandbox again', { sandbox: sandboxId, error: messageOf(error) });
    });
  const foreignContainers = new ForeignContainers({ docker, store, logger });
  const containerResync = new ContainerResync({
    ...{ docker, store, life, foreignContainers, logs, network, checkpoints, reservations, logger },
    localEngine,
    overrides,
    onFirstList: () =>
      void endLeftCommands({ docker, store, logger, startedCommands, settings: { localEngine } }),
    onList: (all) => void parts.tidyProbes(probes, all),
  });
  const containerEvents = new ContainerEvents({
    ...{ life, store, reservations, logger },
    onDoubt: (id) => containerResync.doubt(id),
    onApplied: (lagSeconds) => metrics.onEngineEvent(lagSeconds),
  });
  const imageSync = new ImageSync({ docker, store, logger });
  const link = new EngineLink({
    ...{ docker, store, containerResync, containerEvents, foreignContainers, imageSync, localEngine, logger },
    diskUsage: new DiskUsage({ docker, store, logger, times: overrides.diskUsageTimes ?? {} }),
    watch: new EngineWatch({ docker, lanes, store, logger }),
    claim: parts.engineClaim,
    factsMemory: parts.factsMemory,
    times: overrides.linkTimes ?? {},
  });
  return {
    ...{ docker, localEngine, store, reservations, network, checkpoints, stats, kernelLog, probes },
    ...{ teardowns: new Teardowns(store), life, imageSync, link, lanes, claim: parts.engineClaim },
    upkeep: parts.upkeep,
  };
}

function createClient(
  settings: Settings,
  parts: NodeParts,
  lanes: CallLanes,
  { metrics, tracer }: Pick<Observers, 'metrics' | 'tracer'>,
  overrides: EngineSideOverrides,
): DockerClient {
  const client = new DockerodeClient({
    endpoint: settings.dockerEndpoint,
    requestTimeoutMs: () => settings.runtimeRequestTimeout || DEFAULT_REQUEST_TIMEOUT_MS,
    lanes,
    tracer,
  });
  return instrument(
    parts.door(overrides.wrapDocker?.(client) ?? client),
    (call) => {
      metrics.onEngineCall(call);
      overrides.onEngineCall?.(call);
    },
    (operation) => metrics.onEngineCallBegun(operation),
  );
}
