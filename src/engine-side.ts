import { join } from 'node:path';
import type { Settings } from './config/options';
import { CallLanes } from './docker/call-lanes';
import type { DockerClient } from './docker/client';
import { DockerodeClient } from './docker/dockerode-client';
import { isLocalEndpoint } from './docker/endpoint';
import { instrument, type EngineCall } from './docker/instrument';
import type { Logger } from './lib/logger';
import type { ContainerLogs } from './logs/container-logs';
import type { DaemonMetrics } from './metrics/daemon-metrics';
import { choosePodNetwork } from './network/choose';
import { NamespaceHandles } from './network/cni/namespace-handles';
import type { PluginObserver } from './network/cni/plugin-chain';
import { RunningPlugins } from './network/cni/running-plugins';
import type { PodNetwork } from './network/pod-network';
import { SandboxCheckpoints } from './network/sandbox-checkpoints';
import { Probes } from './server/container/probes';
import { Teardowns } from './server/container/teardowns';
import { endLeftCommands } from './server/exec/end-left-commands';
import type { StartedCommands } from './server/exec/started-commands';
import { createNodeStats } from './stats/create-node-stats';
import type { LayerTimes } from './stats/disk/layer-budget';
import type { NodeStats } from './stats/node-stats';
import { NameReservations } from './store/name-reservations';
import { Store } from './store/store';
import { ContainerEvents } from './sync/container-events';
import { ContainerResync } from './sync/container-resync';
import { ContainerSync } from './sync/container-sync';
import { DiskUsage, type DiskUsageTimes } from './sync/disk-usage';
import { EngineLink, type LinkTimes } from './sync/engine-link';
import { EngineWatch } from './sync/engine-watch';
import { ForeignContainers } from './sync/foreign-containers';
import { ImageSync } from './sync/image-sync';
import { isCriDockerdAt } from './system/cri-dockerd-process';
import { KernelLog } from './system/kernel-log';

/** `0` of --runtime-request-timeout, as with cri-dockerd: just below kubelet's own two minutes. */
const DEFAULT_REQUEST_TIMEOUT_MS = 119_000;
/** `0` of --cni-timeout. */
const DEFAULT_CNI_TIMEOUT_MS = 120_000;

/** What tests and metrics look at or put in the way. */
export interface EngineSideHooks {
  readonly onEngineCall?: (call: EngineCall) => void;
  readonly onPluginRun?: PluginObserver;
  /** Stands between us and the Engine: faults that a real one will not produce on demand. */
  readonly wrapDocker?: (client: DockerClient) => DockerClient;
  readonly linkTimes?: Partial<LinkTimes>;
  readonly layerTimes?: Partial<LayerTimes>;
  readonly diskUsageTimes?: Partial<DiskUsageTimes>;
}

/** The daemon's half that faces the Engine and the node: all that fills the store. */
export interface EngineSide {
  readonly docker: DockerClient;
  readonly localEngine: boolean;
  readonly store: Store;
  readonly reservations: NameReservations;
  readonly network: PodNetwork;
  readonly checkpoints: SandboxCheckpoints;
  readonly stats: NodeStats;
  readonly kernelLog: KernelLog;
  readonly probes: Probes;
  readonly teardowns: Teardowns;
  readonly containerSync: ContainerSync;
  readonly imageSync: ImageSync;
  readonly link: EngineLink;
  readonly lanes: CallLanes;
}

interface Observers {
  readonly logger: Logger;
  readonly logs: ContainerLogs;
  readonly metrics: DaemonMetrics;
  readonly startedCommands: StartedCommands;
}

export async function createEngineSide(
  settings: Settings,
  { logger, logs, metrics, startedCommands }: Observers,
  hooks: EngineSideHooks,
): Promise<EngineSide> {
  const lanes = new CallLanes();
  const docker = createClient(settings, lanes, metrics, hooks);
  const network = await createNetwork(settings, logger, (report) => {
    metrics.onPluginRun(report);
    hooks.onPluginRun?.(report);
  });
  const checkpoints = createCheckpoints(settings, logger);
  const store = new Store();
  store.podCidr = settings.podCidr;
  const reservations = new NameReservations();
  const localEngine = isLocalEndpoint(settings.dockerEndpoint);
  const stats = await createNodeStats({
    ...{ store, localEngine, logger },
    engine: docker,
    choice: settings.statsSource,
    layerTimes: hooks.layerTimes,
  });
  const kernelLog = new KernelLog();
  const probes = new Probes({ docker, logger });
  const containerSync = new ContainerSync({
    docker,
    store,
    logs,
    network,
    checkpoints,
    logger,
    localEngine,
    kernelLog: localEngine ? kernelLog : undefined,
  });
  const containerResync = new ContainerResync({
    ...{ docker, store, sync: containerSync, logs, network, checkpoints, reservations, logger, localEngine },
    onFirstList: () =>
      void endLeftCommands({ docker, store, logger, startedCommands, settings: { localEngine } }),
    onList: (all) => void probes.removeLeftovers(all),
  });
  const containerEvents = new ContainerEvents({
    ...{ sync: containerSync, store, reservations, logger },
    onDoubt: (id) => containerResync.doubt(id),
    onApplied: (lagSeconds) => metrics.onEngineEvent(lagSeconds),
  });
  const imageSync = new ImageSync({ docker, store, logger });
  const link = new EngineLink({
    ...{ docker, store, containerResync, containerEvents, imageSync, localEngine, logger },
    foreignContainers: new ForeignContainers({ docker, store, logger }),
    diskUsage: new DiskUsage({ docker, store, logger, times: hooks.diskUsageTimes ?? {} }),
    watch: new EngineWatch({ docker, lanes, store, logger }),
    times: hooks.linkTimes ?? {},
  });
  return {
    ...{ docker, localEngine, store, reservations, network, checkpoints, stats, kernelLog, probes },
    ...{ teardowns: new Teardowns(store), containerSync, imageSync, link, lanes },
  };
}

function createClient(
  settings: Settings,
  lanes: CallLanes,
  metrics: DaemonMetrics,
  hooks: EngineSideHooks,
): DockerClient {
  const client = new DockerodeClient({
    endpoint: settings.dockerEndpoint,
    requestTimeoutMs: settings.runtimeRequestTimeout || DEFAULT_REQUEST_TIMEOUT_MS,
    lanes,
  });
  return instrument(
    hooks.wrapDocker?.(client) ?? client,
    (call) => {
      metrics.onEngineCall(call);
      hooks.onEngineCall?.(call);
    },
    (operation) => metrics.onEngineCallBegun(operation),
  );
}

async function createNetwork(
  settings: Settings,
  logger: Logger,
  observe: PluginObserver,
): Promise<PodNetwork> {
  const network = await choosePodNetwork(settings.networkPlugin, {
    confDir: settings.cniConfDir,
    binDirs: settings.cniBinDir,
    cacheDir: settings.cniCacheDir,
    handles: new NamespaceHandles(join(settings.runDir, 'netns')),
    running: new RunningPlugins(join(settings.runDir, 'plugins'), logger),
    timeoutMs: settings.cniTimeout || DEFAULT_CNI_TIMEOUT_MS,
    observe,
    logger,
  });
  network.setPodCidr(settings.podCidr);
  return network;
}

function createCheckpoints(settings: Settings, logger: Logger): SandboxCheckpoints {
  const { criDockerdRootDirectory: root, dockershimRootDirectory: dockershimRoot } = settings;
  const isInUse = (): Promise<boolean> => isCriDockerdAt(root);
  return new SandboxCheckpoints({ mode: settings.sandboxCheckpoints, root, dockershimRoot, isInUse, logger });
}
