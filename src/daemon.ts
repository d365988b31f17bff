import { actingParts } from './acting';
import type { Settings } from './config/options';
import { streamingTls } from './config/use';
import { createEngineSide, type EngineSide, type EngineSideOverrides } from './engine-side';
import { BoundedStop, WorkGate } from './lib/async/stopping';
import { DiskLooks } from './node/disk/disk-looks';
import { fileLimit, tellFileLimit } from './node/file-limit';
import type { Logger } from './lib/logger';
import type { ContainerLogs } from './logs/container-logs';
import { DaemonMetrics } from './metrics/daemon-metrics';
import type { NodeParts } from './node-parts';
import { Observability } from './observability';
import { observingParts } from './observing';
import { SpoolMode } from './containers/creation';
import { ControlSocket } from './server/control-socket';
import { PodEvents } from './server/events/pod-events';
import { OutputBudget } from './server/exec/captured-output';
import { ContainerSessions } from './containers/engine-ops';
import { EngineStreaming } from './server/exec/engine-streaming';
import { GrpcServer } from './server/grpc-server';
import { ImagePulls } from './server/image/image-pulls';
import { RegistryCredentials } from './registry/credentials';
import { ImageAccounts } from './server/container/probes';
import { SandboxImage } from './server/image/sandbox-image';
import { statusReporter, type StatusReport } from './server/status-report';
import { DOCKBRIDGE_VERSION, NOTIFY_HELPER, PAUSE_TAR } from './release';
import { startLogs } from './start-logs';
import type { Store } from './store/store';
import { StreamingServer, type Streaming } from './streaming/server';
import { NetnsDialers } from './streaming/port-forward/netns-dialer';
import { handOverPods, type HandOverStep } from './sync/hand-over';
import { notifySystemd, SignsOfLife, Watchdog, watchdogInterval } from './node/systemd';
import { openTracing, type Tracing } from './tracing/tracing';
import { readNodeRights, type NodeRights } from './node/node-rights';
import { UsedInodes } from './node/disk/file-systems';
import { watchedLink, watchedLogs } from './watched-parts';

/**
 * Time limit of a whole stop in ms. systemd kills the process after 90 s, and kubelet has no runtime until the next daemon
 * starts.
 */
export const STOP_MS = 10_000;

/** How many of libuv's four threads may examine the paths that pods name, and how long, in ms, a call waits for the result. */
const HOST_DISK_THREADS = 2;
const HOST_DISK_MS = 5_000;

/** The parts that `serve` has made before it loads the daemon. */
export interface DaemonOptions {
  /** The container logs, which are being copied already, because `serve` resumes them before everything else. */
  readonly logs?: ContainerLogs;
  /** Counts the lines of our own log that were dropped because nobody read them. */
  readonly droppedLogLines?: () => number;
}

/** The parts that tests replace; production passes nothing. */
export interface DaemonOverrides extends EngineSideOverrides {
  /** Path of the built image of our own pause container, for code that runs from source. */
  readonly pauseTar?: string;
  /** Path of the built program that connects inside a pod. */
  readonly dialHelper?: string;
  /** Time limit in ms for finding out why a pull failed. A busy test machine needs more than the default. */
  readonly pullQuestionsMs?: number | undefined;
}

/** The half of the daemon that serves kubelet. */
interface KubeletSide {
  readonly server: GrpcServer;
  readonly streaming: Streaming;
  readonly dialers: NetnsDialers;
  readonly observability: Observability;
  readonly gate: WorkGate;
  readonly tracing: Tracing;
}

/** How long, in ms, a hand-over waits for calls in progress before it continues. */
const CALLS_MS = 30_000;
const HANDED_OVER =
  'the node was handed over (dockbridge hand-over): stop this daemon and start the other runtime, or restart dockbridge to keep the node';

/**
 * The composition root. It constructs the parts that serve kubelet, and engine-side.ts constructs the parts that work with the
 * Engine and the node.
 */
export class Daemon {
  private readonly control: ControlSocket | undefined;
  private watchdog: Watchdog | undefined;

  private constructor(
    private readonly engineSide: EngineSide,
    private readonly kubeletSide: KubeletSide,
    private readonly logs: ContainerLogs,
    private readonly logger: Logger,
    private readonly settings: Settings,
    control: { readonly path: string | undefined; readonly status: () => Promise<StatusReport> },
  ) {
    const { path, status } = control;
    if (path !== undefined)
      this.control = new ControlSocket({ path, status, handOver: () => this.handOver(), logger });
  }

  get store(): Store {
    return this.engineSide.store;
  }

  /**
   * @param settings are read again at each use, because some change while the daemon runs (src/config/live-settings.ts).
   * @throws FAILED_PRECONDITION when another daemon uses a directory of the settings.
   */
  static async create(
    settings: Settings,
    logger: Logger,
    options: DaemonOptions = {},
    overrides: DaemonOverrides = {},
  ): Promise<Daemon> {
    const parts = settings.observe ? observingParts(settings, logger) : actingParts(settings, logger);
    const construct = (logs: ContainerLogs): Promise<Daemon> =>
      Daemon.construct(settings, parts, logger, { ...options, logs }, overrides);
    if (options.logs !== undefined) return construct(options.logs);
    const logs = await startLogs(settings, logger, overrides);
    try {
      return await construct(logs);
    } catch (error) {
      // The log threads would keep the process alive.
      await logs.close();
      throw error;
    }
  }

  private static async construct(
    settings: Settings,
    parts: NodeParts,
    logger: Logger,
    { logs, droppedLogLines = () => 0 }: DaemonOptions & { readonly logs: ContainerLogs },
    overrides: DaemonOverrides,
  ): Promise<Daemon> {
    const metrics = new DaemonMetrics(DOCKBRIDGE_VERSION);
    const tracing = await openTracing(process.env, DOCKBRIDGE_VERSION, logger);
    const { tracer } = tracing;
    const startedCommands = await parts.openCommands();
    const observers = { logger, logs, metrics, tracer, startedCommands };
    const engineSide = await createEngineSide(settings, parts, observers, overrides);
    const { docker, localEngine, store, probes, stats, imageSync, link, lanes, network } = engineSide;
    const podEvents = new PodEvents(store);
    const rights = await readNodeRights();
    tellRights(rights, logger);
    tellFileLimit(logger);
    const imagePulls = new ImagePulls({
      docker,
      store,
      credentials: new RegistryCredentials(() => settings.registryConfig, logger),
      progressDeadlineMs: () => settings.imagePullProgressDeadline,
      questionsMs: overrides.pullQuestionsMs,
    });
    const sandboxImage = new SandboxImage({
      docker,
      store,
      imagePulls,
      imageSync,
      logger,
      configured: settings.podInfraContainerImage,
      pauseTar: overrides.pauseTar ?? PAUSE_TAR,
    });
    const handlerSettings = {
      spool: {
        maxSize: settings.containerLogMaxSize,
        maxFile: String(settings.containerLogMaxFiles),
        isLog: settings.containerLogs === 'link',
      },
      oomFloor: rights.oomFloor,
      ipv6: rights.ipv6,
      // An Engine on another machine may have different rights, which we cannot read.
      capabilities: localEngine ? rights.capabilities : undefined,
      localEngine,
      dockbridgeVersion: DOCKBRIDGE_VERSION,
    };
    const dialers = new NetnsDialers({ helper: overrides.dialHelper });
    const sessions = new ContainerSessions();
    const exec = { docker, store, settings: handlerSettings, logger, sessions, startedCommands };
    const gate = new WorkGate();
    const streaming = parts.streaming(
      () =>
        new StreamingServer({
          bind: settings.streamingBindAddr,
          tls: streamingTls(settings),
          backend: new EngineStreaming(exec, dialers),
          logger,
        }),
    );
    const server = new GrpcServer(
      {
        ...engineSide,
        ...{ logs, imagePulls, sandboxImage, podEvents, streaming, sessions, startedCommands, logger },
        outputBudget: new OutputBudget(),
        usedInodes: new UsedInodes(),
        hostDisks: new DiskLooks(HOST_DISK_THREADS, HOST_DISK_MS),
        imageAccounts: new ImageAccounts(docker, probes),
        spoolMode: new SpoolMode(logger),
        settings: handlerSettings,
      },
      {
        endpoint: settings.endpoint,
        logger,
        gate,
        refusal: parts.refusal,
        tracer,
        observe: (report) => metrics.onCall(report),
      },
    );
    const observability = new Observability(settings, {
      ...{ metrics, store, link, lanes, logs, stats, podEvents, streaming, network, logger },
      droppedLogLines,
    });
    const status = statusReporter({
      ...{ version: DOCKBRIDGE_VERSION, store, link, lanes, logs, network, podEvents, streaming, gate },
      pluginFailures: () => metrics.pluginFailures(),
      calls: () => server.callsInProgress,
      fileLimit: fileLimit(),
    });
    const kubeletSide = { server, streaming, dialers, observability, gate, tracing };
    return new Daemon(engineSide, kubeletSide, logs, logger, settings, { path: parts.controlPath, status });
  }

  /**
   * Listens before it connects, so that Status can report an Engine that is down. No list is answered until the first resync,
   * because an empty list would tell kubelet that all its pods are gone.
   * @returns the address on which it listens.
   */
  async start(): Promise<string> {
    const { streaming, server, observability } = this.kubeletSide;
    const streamingUrl = await streaming.listen();
    const address = await server.listen();
    this.engineSide.stats.start();
    this.engineSide.link.start();
    const metrics = await observability.start();
    await this.control?.listen();
    this.logger.info('Serving CRI', {
      ...{ address, streaming: streamingUrl, metrics, version: DOCKBRIDGE_VERSION },
    });
    await notifySystemd('--ready', this.logger);
    this.watchdog = this.startWatchdog();
    return address;
  }

  private startWatchdog(): Watchdog | undefined {
    const { logs, logger, settings } = this;
    const { link, lanes } = this.engineSide;
    const intervalMs = watchdogInterval(process.env, process.pid);
    if (intervalMs === undefined) return undefined;
    const parts = [watchedLogs(logs), watchedLink(link, lanes, intervalMs, () => settings.cniTimeout)];
    const signs = new SignsOfLife(NOTIFY_HELPER, logger);
    const notify = (): Promise<boolean> => signs.send();
    const watchdog = new Watchdog({ intervalMs, parts, notify, end: () => signs.end(), logger });
    watchdog.start();
    return watchdog;
  }

  /** Resolves when all pods, containers and images of the Engine have been read. */
  async whenSynced(signal?: AbortSignal): Promise<void> {
    await this.engineSide.link.whenReady(signal);
  }

  /**
   * Loads the certificate of the streaming server, which must be loaded before these settings can take effect.
   * @returns a function that applies the certificate.
   * @throws INVALID_ARGUMENT naming the file that cannot be used. Then nothing has changed.
   */
  async prepareReload(settings: Settings): Promise<() => void> {
    const files = streamingTls(settings);
    if (files === undefined) return () => undefined;
    return this.kubeletSide.streaming.prepareCertificate(files);
  }

  /**
   * Leaves the node to another runtime: refuses new work, waits for what is in progress, stops following the Engine,
   * and leaves the pods as cri-dockerd expects them. Reads are still answered, from the store.
   */
  async *handOver(): AsyncGenerator<HandOverStep> {
    const { logs, logger } = this;
    const { gate } = this.kubeletSide;
    const { docker, link, network, checkpoints, upkeep } = this.engineSide;
    logger.warn('Handing the node over: new work is refused from now on');
    gate.close(HANDED_OVER);
    for (const name of await gate.whenIdle(CALLS_MS))
      yield {
        what: 'call',
        of: name,
        outcome: 'failed',
        detail: 'is still in progress: repeat the hand-over',
      };
    await link.end('HandedOver', HANDED_OVER);
    upkeep?.close();
    yield* handOverPods({ docker, logs, network, checkpoints });
    logger.info('Handed over');
  }

  /**
   * Stops all parts within 10 s, even if the Engine, a plugin or a disk hangs. Never rejects. The sockets are closed first, so
   * that no new call arrives. The logs get their time even if every step before them was given up.
   */
  async stop(): Promise<void> {
    const { server, streaming, dialers, observability, tracing } = this.kubeletSide;
    const { link, stats, network, kernelLog, claim, upkeep } = this.engineSide;
    const stop = new BoundedStop(STOP_MS, this.logger);
    await stop.step('The notice to systemd', 1_000, () => notifySystemd('STOPPING=1', this.logger));
    void this.watchdog?.stop();
    await Promise.all([
      stop.step('The control socket', 1_000, async () => this.control?.close()),
      stop.step('The metrics endpoint', 2_000, () => observability.stop()),
      stop.step('The CRI server', 4_000, () => server.close()),
    ]);
    await Promise.all([
      stop.step('The streaming server', 1_500, () => streaming.close()),
      stop.step('The dialers of port-forward', 1_500, () => dialers.close()),
      stop.step('The connection to Docker Engine', 1_500, () => link.stop()),
      stop.step('Stats', 1_500, () => stats.close()),
      stop.step('The traces', 2_500, () => tracing.close()),
    ]);
    upkeep?.close();
    await stop.step('The logs', 3_000, () => this.logs.close());
    await Promise.all([
      stop.step('The pod network', 1_000, () => network.close()),
      stop.step("The kernel's log", 1_000, () => kernelLog.close()),
    ]);
    // A step that took too long may still write to the Engine. In that case the claim is kept until the process ends.
    if (!stop.hasLeftSomething) await stop.step('The claim of Docker Engine', 500, () => claim.release());
    this.logger.info('Stopped');
  }
}

function tellRights({ oomFloor, capabilities }: NodeRights, logger: Logger): void {
  if (oomFloor > -1000)
    logger.info('oom_score_adj of containers is clamped: no CAP_SYS_RESOURCE', { oomFloor });
  if (capabilities !== undefined)
    logger.info('Privileged containers get only the capabilities of this node, which does not have all', {
      capabilities: capabilities.join(' '),
    });
}
