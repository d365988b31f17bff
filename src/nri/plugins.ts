import { mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { KeyedLock } from '../lib/async/keyed-lock';
import { failedPrecondition, messageOf } from '../lib/errors';
import { SocketFile } from '../node/disk/socket-file';
import type { nri, PluginRequest } from '../proto/nri';
import { CreateMerge } from './adjustments/merge-create';
import { UpdatesMerge } from './adjustments/merge-updates';
import { Owners } from './adjustments/owners';
import type { NotifiedEvent } from './events';
import { findInstalled, launch, type RunningPlugin } from './installed';
import { compareIdentities } from './names';
import { type InstalledPlugin, NriPlugin, type PluginSurroundings } from './plugin';
import { SyncGate } from './sync-gate';

/** Only root may connect, because a plugin can change every container. containerd's umask gives its socket 0755, which also lets only root connect. */
const SOCKET_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
/** The limit of plugins that have connected themselves. More connections are closed at once. */
const MAX_CONNECTIONS = 64;
const LOCK = 'plugins';

export interface PodsAndContainers {
  readonly pods: readonly nri.IPodSandbox[];
  readonly containers: readonly nri.IContainer[];
}

export interface PluginsOptions extends Omit<PluginSurroundings, 'update'> {
  readonly socketPath: string;
  readonly pluginDir: string;
  readonly configDir: string;
  /** Whether only plugins of `pluginDir` are allowed, and no socket is made. */
  readonly disableExternal: boolean;
  /** Returns what a new plugin has to know. No operation runs meanwhile (see `gate`). */
  readonly snapshot: () => Promise<PodsAndContainers>;
  /**
   * Changes running containers. Returns the updates that failed. Plugins wait meanwhile, so this function must neither enter
   * `gate` nor send a request to plugins.
   */
  readonly update: (updates: readonly nri.IContainerUpdate[]) => Promise<nri.IContainerUpdate[]>;
}

/** The result of CreateContainer. */
export interface CreateResult {
  readonly adjust: nri.IContainerAdjustment;
  /** Updates of other containers, to be applied before the container is created. */
  readonly updates: readonly nri.IContainerUpdate[];
  readonly evictions: readonly nri.IContainerEviction[];
}

/** All plugins, in order. Plugins get one request at a time, as in NRI, because the answers of one request build on each other. */
export class Plugins {
  /** Every operation about which plugins get requests runs inside. */
  readonly gate = new SyncGate();
  private plugins: NriPlugin[] = [];
  private readonly lock = new KeyedLock();
  /** Plugins that are not in order yet. */
  private readonly arriving = new Set<NriPlugin>();
  private readonly processes = new Set<RunningPlugin>();
  private readonly ending = new AbortController();
  private server: Server | undefined;
  private file: SocketFile | undefined;
  private readonly surroundings: PluginSurroundings;

  constructor(private readonly options: PluginsOptions) {
    this.surroundings = {
      ...options,
      update: (_plugin, updates) => this.locked(() => options.update(updates)),
    };
  }

  /**
   * Starts the installed plugins, synchronizes them, and then listens for others. A plugin that cannot be started is only logged.
   * @throws RuntimeError FAILED_PRECONDITION for a wrong file in the directory of plugins, and when the socket cannot be made. No plugin runs
   * then.
   */
  async start(): Promise<void> {
    const { pluginDir, configDir, disableExternal } = this.options;
    try {
      const installed = await findInstalled(pluginDir, configDir);
      const started = await Promise.all(installed.map((one) => this.startInstalled(one)));
      for (const plugin of started) if (plugin !== undefined) await this.admit(plugin);
      if (!disableExternal) await this.listen();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Removes the socket, calls the plugins' Shutdown, and ends the plugins that we have started. */
  async stop(): Promise<void> {
    this.ending.abort(failedPrecondition('dockbridge ends'));
    await this.file?.remove();
    this.server?.close();
    await Promise.all([...this.plugins, ...this.arriving].map((plugin) => plugin.shutdown()));
    this.plugins = [];
    for (const process of this.processes) process.kill();
    await Promise.all([...this.processes].map(({ ended }) => ended));
  }

  /** The names of the plugins, in order. */
  get names(): readonly string[] {
    return this.live().map((plugin) => plugin.fullName);
  }

  /**
   * Passes an event to all plugins that have subscribed to it.
   * @throws AnsweredError when a plugin refuses. Later plugins do not get the event then.
   */
  async notify<Event extends NotifiedEvent | 'UpdatePodSandbox'>(
    event: Event,
    request: PluginRequest<Event>,
  ): Promise<void> {
    await this.locked(async () => {
      for (const plugin of this.live()) await plugin.relay(event, request);
    });
  }

  /** @throws AnsweredError when a plugin refuses; FAILED_PRECONDITION at a conflict, and when a plugin that checks adjustments rejects them. */
  async createContainer(pod: nri.IPodSandbox, container: nri.IContainer): Promise<CreateResult> {
    return this.locked(async () => {
      const merge = new CreateMerge(pod, container);
      const plugins = this.live();
      for (const plugin of plugins) {
        const answer = await plugin.relay('CreateContainer', merge.request);
        if (answer !== undefined) merge.apply(plugin.fullName, answer);
      }
      const result = {
        adjust: merge.adjustment(),
        updates: merge.otherUpdates(),
        evictions: merge.otherEvictions(),
      };
      await this.validate({
        pod,
        container,
        adjust: result.adjust,
        update: [...result.updates],
        owners: merge.ownersMessage(),
        plugins: plugins.map(({ who: { index, name } }) => ({ index, name })),
      });
      return result;
    });
  }

  /** @returns the resources for the container, or undefined if no plugin changes them, and updates of other containers. */
  async updateContainer(
    request: nri.IUpdateContainerRequest,
  ): Promise<{ resources: nri.ILinuxResources | undefined; others: nri.IContainerUpdate[] }> {
    return this.locked(async () => {
      const id = request.container?.id ?? '';
      const merge = new UpdatesMerge(
        { kind: 'updated', id, resources: request.linux_resources },
        new Owners(),
      );
      for (const plugin of this.live()) {
        const answer = await plugin.relay('UpdateContainer', {
          ...request,
          linux_resources: merge.requested,
        });
        if (answer !== undefined) merge.apply(plugin.fullName, answer.update);
      }
      return { resources: merge.ownResources(), others: merge.others() };
    });
  }

  /** @returns updates of other containers. */
  async stopContainer(request: nri.IStopContainerRequest): Promise<nri.IContainerUpdate[]> {
    return this.locked(async () => {
      const merge = new UpdatesMerge({ kind: 'stopped' }, new Owners());
      for (const plugin of this.live()) {
        const answer = await plugin.relay('StopContainer', request);
        if (answer !== undefined) merge.apply(plugin.fullName, answer.update);
      }
      return merge.others();
    });
  }

  /** A plugin that dies during this request makes the operation fail, because the adjustments are not checked then. */
  private async validate(request: nri.IValidateContainerAdjustmentRequest): Promise<void> {
    const checks = this.live().filter((plugin) => plugin.isSubscribedTo('ValidateContainerAdjustment'));
    const answers = await Promise.all(
      checks.map((plugin) => plugin.relay('ValidateContainerAdjustment', request)),
    );
    for (const [at, answer] of answers.entries()) {
      const name = checks[at]?.fullName ?? '';
      if (answer === undefined)
        throw failedPrecondition(`the NRI plugin "${name}" failed to check the adjustments`);
      if (answer.reject)
        throw failedPrecondition(`the NRI plugin "${name}" rejects the adjustments: ${answer.reason}`);
    }
  }

  private locked<T>(work: () => Promise<T>): Promise<T> {
    return this.lock.run(LOCK, work);
  }

  private live(): NriPlugin[] {
    return this.plugins.filter((plugin) => !plugin.isClosed);
  }

  private async startInstalled(installed: InstalledPlugin): Promise<NriPlugin | undefined> {
    const { logger, pluginDir } = this.options;
    try {
      const process = await launch(pluginDir, installed);
      this.processes.add(process);
      void process.ended.then(() => this.processes.delete(process));
      const plugin = await this.connect(process.socket, installed);
      if (plugin === undefined) process.kill();
      else void plugin.closed.then(() => process.kill());
      return plugin;
    } catch (error) {
      logger.warn('An NRI plugin cannot be run', {
        plugin: `${installed.index}-${installed.name}`,
        error: messageOf(error),
      });
      return undefined;
    }
  }

  /** Waits for the registration. Returns undefined when it failed, which the plugin has logged. */
  private async connect(
    socket: Duplex,
    installed: InstalledPlugin | undefined,
  ): Promise<NriPlugin | undefined> {
    const plugin = new NriPlugin(socket, installed, this.surroundings);
    this.arriving.add(plugin);
    try {
      await plugin.start();
      return plugin;
    } catch {
      this.arriving.delete(plugin);
      return undefined;
    }
  }

  /** Synchronizes a plugin and gives it its place. */
  private async admit(plugin: NriPlugin): Promise<void> {
    try {
      await this.gate.synchronize(() => this.locked(() => this.synchronize(plugin)), this.ending.signal);
    } catch (error) {
      plugin.drop(error);
    } finally {
      this.arriving.delete(plugin);
    }
  }

  private async synchronize(plugin: NriPlugin): Promise<void> {
    const { snapshot, update, logger } = this.options;
    const { pods, containers } = await snapshot();
    const updates = await plugin.synchronize(pods, containers);
    if (updates.length > 0) {
      const failed = await update(updates);
      if (failed.length > 0)
        logger.warn('Updates for which an NRI plugin asked have failed', {
          plugin: plugin.fullName,
          containers: failed.length,
        });
    }
    this.plugins = [...this.live(), plugin].sort((one, other) => compareIdentities(one.who, other.who));
    void plugin.closed.then(() => (this.plugins = this.live()));
    logger.info('An NRI plugin is connected', { plugin: plugin.fullName, plugins: this.names });
  }

  private async listen(): Promise<void> {
    const { socketPath, logger } = this.options;
    await mkdir(dirname(socketPath), { recursive: true, mode: DIRECTORY_MODE });
    this.server = createServer((socket) => void this.accept(socket));
    this.server.maxConnections = MAX_CONNECTIONS;
    this.file = await SocketFile.bind(this.server, socketPath, SOCKET_MODE);
    this.server.on('error', (error) =>
      logger.error('The socket for NRI plugins failed', { path: socketPath, error: messageOf(error) }),
    );
  }

  private async accept(socket: Socket): Promise<void> {
    const plugin = await this.connect(socket, undefined);
    if (plugin !== undefined) await this.admit(plugin);
  }
}
