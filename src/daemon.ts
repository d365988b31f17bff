import { join } from 'node:path';
import type { Settings } from './config/options';
import type { DockerClient } from './docker/client';
import { DockerodeClient } from './docker/dockerode-client';
import { isLocalEndpoint } from './docker/endpoint';
import { instrument, type EngineCall } from './docker/instrument';
import { claimDirectory } from './lib/claim-directory';
import { invalidArgument } from './lib/errors';
import type { Logger } from './lib/logger';
import type { ContainerLogs } from './logs/container-logs';
import { createContainerLogs } from './logs/create-container-logs';
import { choosePodNetwork } from './network/choose';
import { NamespaceHandles } from './network/cni/namespace-handles';
import type { PluginObserver } from './network/cni/plugin-chain';
import type { PodNetwork } from './network/pod-network';
import type { CallReport } from './server/call';
import { Probes } from './server/container/probes';
import { PodEvents } from './server/events/pod-events';
import { EngineStreaming } from './server/exec/engine-streaming';
import { GrpcServer } from './server/grpc-server';
import { ImagePulls } from './server/image/image-pulls';
import { RegistryCredentials } from './server/image/registry-credentials';
import { ImageAccounts } from './server/image/image-accounts';
import { SandboxImage } from './server/image/sandbox-image';
import type { LayerTimes } from './stats/disk/layer-budget';
import { createNodeStats } from './stats/create-node-stats';
import type { NodeStats } from './stats/node-stats';
import { DaemonMetrics } from './metrics/daemon-metrics';
import { Observability } from './observability';
import { NameReservations } from './store/name-reservations';
import { Store } from './store/store';
import { NetnsDialers } from './streaming/port-forward/netns-dialer';
import { StreamingServer } from './streaming/server';
import { ContainerEvents } from './sync/container-events';
import { ContainerResync } from './sync/container-resync';
import { ContainerSync } from './sync/container-sync';
import { DiskUsage, type DiskUsageTimes } from './sync/disk-usage';
import { EngineLink, type LinkTimes } from './sync/engine-link';
import { ForeignContainers } from './sync/foreign-containers';
import { ImageSync } from './sync/image-sync';
import { notifySystemd } from './system/notify';
import { KernelLog } from './system/kernel-log';
import { readNodeRights } from './system/node-rights';
import { UsedInodes } from './system/used-inodes';
import { DOCKBRIDGE_VERSION } from './version';

/** `0` of --runtime-request-timeout, as with cri-dockerd: just below kubelet's own two minutes. */
const DEFAULT_REQUEST_TIMEOUT_MS = 119_000;
/** `0` of --cni-timeout. */
const DEFAULT_CNI_TIMEOUT_MS = 120_000;

/** What tests and metrics look at or put in the way. */
export interface DaemonHooks {
  readonly onEngineCall?: (call: EngineCall) => void;
  readonly onCall?: (report: CallReport) => void;
  readonly onPluginRun?: PluginObserver;
  /** Stands between us and the Engine: faults that a real one will not produce on demand. */
  readonly wrapDocker?: (client: DockerClient) => DockerClient;
  readonly linkTimes?: Partial<LinkTimes>;
  readonly layerTimes?: Partial<LayerTimes>;
  readonly diskUsageTimes?: Partial<DiskUsageTimes>;
}

/** The composition root: the only place that constructs. Starts in order, stops in reverse. */
export class Daemon {
  private constructor(
    private readonly link: EngineLink,
    private readonly logs: ContainerLogs,
    private readonly stats: NodeStats,
    private readonly network: PodNetwork,
    private readonly server: GrpcServer,
    private readonly streaming: StreamingServer,
    private readonly dialers: NetnsDialers,
    private readonly observability: Observability,
    private readonly kernelLog: KernelLog,
    readonly store: Store,
    private readonly logger: Logger,
  ) {}

  /**
   * @param logs given when they run already: `serve` resumes them before it loads all this.
   * @throws FAILED_PRECONDITION when another daemon uses a directory of the settings.
   */
  static async create(
    settings: Settings,
    logger: Logger,
    hooks: DaemonHooks = {},
    logs: ContainerLogs = createContainerLogs({
      mode: settings.containerLogs,
      stateDir: join(settings.stateDir, 'logs'),
      logger,
    }),
  ): Promise<Daemon> {
    // Another one's plugins and handles would be taken for those of an earlier run of ours.
    claimDirectory(settings.runDir, 'run-dir', 0o750);
    const requestTimeoutMs = settings.runtimeRequestTimeout || DEFAULT_REQUEST_TIMEOUT_MS;
    const client = new DockerodeClient({ endpoint: settings.dockerEndpoint, requestTimeoutMs });
    const metrics = new DaemonMetrics(DOCKBRIDGE_VERSION);
    const docker = instrument(
      hooks.wrapDocker?.(client) ?? client,
      (call) => {
        metrics.onEngineCall(call);
        hooks.onEngineCall?.(call);
      },
      (operation) => metrics.onEngineCallBegun(operation),
    );
    const network = await choosePodNetwork(settings.networkPlugin, {
      confDir: settings.cniConfDir,
      binDirs: settings.cniBinDir,
      cacheDir: settings.cniCacheDir,
      handles: new NamespaceHandles(join(settings.runDir, 'netns')),
      timeoutMs: settings.cniTimeout || DEFAULT_CNI_TIMEOUT_MS,
      observe: (report) => {
        metrics.onPluginRun(report);
        hooks.onPluginRun?.(report);
      },
      logger,
    });
    network.setPodCidr(settings.podCidr);
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
      logger,
      localEngine,
      kernelLog: localEngine ? kernelLog : undefined,
    });
    const containerResync = new ContainerResync({
      ...{ docker, store, sync: containerSync, logs, network, reservations, logger },
      onFirstList: (all) => void probes.removeLeftovers(all),
    });
    const containerEvents = new ContainerEvents({
      ...{ sync: containerSync, store, reservations, logger },
      onApplied: (lagSeconds) => metrics.onEngineEvent(lagSeconds),
    });
    const imageSync = new ImageSync({ docker, store, logger });
    const link = new EngineLink({
      ...{ docker, store, containerResync, containerEvents, imageSync, localEngine, logger },
      foreignContainers: new ForeignContainers({ docker, store, logger }),
      diskUsage: new DiskUsage({ docker, store, logger, times: hooks.diskUsageTimes ?? {} }),
      times: hooks.linkTimes ?? {},
    });
    const podEvents = new PodEvents(store);
    const rights = await readNodeRights();
    if (rights.oomFloor > -1000)
      logger.info('oom_score_adj of containers is clamped: no CAP_SYS_RESOURCE', {
        oomFloor: rights.oomFloor,
      });
    if (rights.capabilities !== undefined)
      logger.info('Privileged containers get what this node has, which is not every capability', {
        capabilities: rights.capabilities.join(' '),
      });
    const imagePulls = new ImagePulls({
      docker,
      store,
      credentials: new RegistryCredentials(settings.registryConfig, logger),
      progressDeadlineMs: settings.imagePullProgressDeadline,
    });
    const sandboxImage = new SandboxImage({
      docker,
      store,
      imagePulls,
      imageSync,
      logger,
      configured: settings.podInfraContainerImage,
      pauseTar: process.env.DOCKBRIDGE_PAUSE_TAR ?? join(__dirname, 'pause', 'pause.tar'),
    });
    const handlerSettings = {
      spool: { maxSize: settings.containerLogMaxSize, maxFile: String(settings.containerLogMaxFiles) },
      oomFloor: rights.oomFloor,
      // Another machine's Engine has rights of its own.
      capabilities: localEngine ? rights.capabilities : undefined,
      localEngine,
      dockbridgeVersion: DOCKBRIDGE_VERSION,
    };
    const dialers = new NetnsDialers();
    const streaming = new StreamingServer({
      bind: settings.streamingBindAddr,
      tls: streamingTls(settings),
      backend: new EngineStreaming({ docker, store, settings: handlerSettings, logger }, dialers),
      logger,
    });
    const server = new GrpcServer(
      {
        ...{
          docker,
          store,
          reservations,
          containerSync,
          imageSync,
          link,
          network,
          logs,
          imagePulls,
          stats,
          sandboxImage,
          usedInodes: new UsedInodes(),
          imageAccounts: new ImageAccounts(docker, probes),
          probes,
          podEvents,
          streaming,
          logger,
        },
        settings: handlerSettings,
      },
      {
        endpoint: settings.endpoint,
        logger,
        observe: (report) => {
          metrics.onCall(report);
          hooks.onCall?.(report);
        },
      },
    );
    const observability = new Observability(settings, {
      ...{ metrics, store, link, logs, stats, podEvents, streaming, logger },
    });
    return new Daemon(
      ...([link, logs, stats, network, server, streaming] as const),
      ...([dialers, observability, kernelLog, store, logger] as const),
    );
  }

  /**
   * Listens first, then connects: while the Engine is down Status can say so. Until the first resync nothing is
   * listed, for an empty list would tell kubelet that all its pods are gone.
   * @returns the address that serves.
   */
  async start(): Promise<string> {
    const streamingUrl = await this.streaming.listen();
    const address = await this.server.listen();
    this.stats.start();
    this.link.start();
    const metrics = await this.observability.start();
    this.logger.info('Serving CRI', {
      ...{ address, streaming: streamingUrl, metrics, version: DOCKBRIDGE_VERSION },
    });
    await notifySystemd('--ready', this.logger);
    return address;
  }

  /** Resolves once the Engine was read completely. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    await this.link.whenReady(signal);
  }

  async stop(): Promise<void> {
    await notifySystemd('--stopping', this.logger);
    await this.observability.stop();
    await this.server.close();
    await this.streaming.close();
    await this.dialers.close();
    await this.link.stop();
    await this.stats.close();
    await this.logs.close();
    await this.network.close();
    await this.kernelLog.close();
    this.logger.info('Stopped');
  }
}

function streamingTls({
  streamingTlsCertFile: certFile,
  streamingTlsPrivateKeyFile: keyFile,
}: Settings): { certFile: string; keyFile: string } | undefined {
  if (certFile === '' && keyFile === '') return undefined;
  if (certFile === '' || keyFile === '') {
    throw invalidArgument(
      '--streaming-tls-cert-file',
      'and --streaming-tls-private-key-file need each other',
    );
  }
  return { certFile, keyFile };
}
