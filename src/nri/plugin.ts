import type { Duplex } from 'node:stream';
import Long from 'long';
import { waitAtMost } from '../lib/async/deadline';
import { failedPrecondition, hasCode, messageOf, RuntimeError } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Decoded } from '../proto';
import {
  type nri,
  type NriMethod,
  PLUGIN_METHODS,
  PLUGIN_SERVICE,
  type PluginAnswer,
  type PluginMethod,
  type PluginRequest,
  RUNTIME_METHODS,
  RUNTIME_SERVICE,
} from '../proto/nri';
import { ALL_EVENTS, bitOf, EVENT_NUMBERS, isNotified, type NotifiedEvent, type PluginEvent } from './events';
import { Mux, PLUGIN_CONNECTION, protocolError, RUNTIME_CONNECTION } from './mux';
import { faultOfIdentity, fullName, type PluginIdentity } from './names';
import { syncMessages } from './sync-messages';
import { TtrpcClient } from './ttrpc/client';
import { OversizedMessageError } from './ttrpc/frame';
import { served, TtrpcServer } from './ttrpc/server';
import { AnsweredError } from './ttrpc/status';

/** The version of NRI whose messages and rules we follow. */
const NRI_VERSION = 'v0.12.0';
const UNREGISTERED: PluginIdentity = { index: '??', name: 'plugin' };

/** The time limits that NRI has by default, in ms. */
export const DEFAULT_LIMITS: PluginLimits = { registrationMs: 5_000, requestMs: 2_000 };

export interface PluginLimits {
  /** From the connection to the plugin's registration. */
  readonly registrationMs: number;
  /** For each request. */
  readonly requestMs: number;
}

export interface PluginSurroundings {
  readonly runtimeName: string;
  readonly runtimeVersion: string;
  readonly limits: PluginLimits;
  /** Changes containers because a plugin asks for it. Returns the updates that failed. */
  readonly update: (
    plugin: string,
    updates: readonly nri.IContainerUpdate[],
  ) => Promise<nri.IContainerUpdate[]>;
  readonly logger: Logger;
}

/** A plugin that we have started. Its file decides who it is. */
export interface InstalledPlugin extends PluginIdentity {
  readonly config: string;
}

/** One connected plugin. After an error of the connection, it is dropped: every request is answered with nothing. */
export class NriPlugin {
  /** Resolves when the connection has closed. */
  readonly closed: Promise<RuntimeError>;
  private identity: PluginIdentity;
  private events = 0;
  private isRegistered = false;
  /** Whether the plugin implements StateChange instead of the methods of single events. */
  private isOld = false;
  private reason: RuntimeError | undefined;
  private readonly mux: Mux;
  private readonly client: TtrpcClient;
  private readonly registration: Promise<void>;
  private onRegistered!: (error?: RuntimeError) => void;

  constructor(
    socket: Duplex,
    private readonly installed: InstalledPlugin | undefined,
    private readonly surroundings: PluginSurroundings,
  ) {
    this.identity = installed ?? UNREGISTERED;
    this.registration = new Promise((resolve, reject) => {
      this.onRegistered = (error) => (error === undefined ? resolve() : reject(error));
    });
    // The plugin may break the rules before anybody waits for its registration.
    this.registration.catch(() => undefined);
    this.mux = new Mux(socket);
    this.closed = this.mux.closed;
    void this.closed.then((reason) => {
      this.onRegistered(reason);
      this.drop(reason);
    });
    this.client = new TtrpcClient(this.mux, PLUGIN_CONNECTION);
    new TtrpcServer(
      this.mux,
      RUNTIME_CONNECTION,
      RUNTIME_SERVICE,
      new Map([
        [
          'RegisterPlugin',
          served(RUNTIME_METHODS.RegisterPlugin, (request) =>
            this.register(request as Decoded<nri.IRegisterPluginRequest>),
          ),
        ],
        [
          'UpdateContainers',
          served(RUNTIME_METHODS.UpdateContainers, (request) =>
            this.updateContainers(request as Decoded<nri.IUpdateContainersRequest>),
          ),
        ],
      ]),
    );
  }

  get who(): PluginIdentity {
    return this.identity;
  }

  get fullName(): string {
    return fullName(this.identity);
  }

  get isClosed(): boolean {
    return this.reason !== undefined;
  }

  isSubscribedTo(event: PluginEvent): boolean {
    return (this.events & bitOf(event)) !== 0;
  }

  /** Waits for the plugin's registration and configures it. After a failure, the plugin is dropped. */
  async start(): Promise<void> {
    const { limits } = this.surroundings;
    this.mux.start();
    try {
      await waitAtMost('The registration', limits.registrationMs, this.registration);
      await this.configure();
    } catch (error) {
      // The answer to a refused registration leaves first.
      await new Promise((resolve) => setImmediate(resolve));
      throw this.drop(error);
    }
  }

  /**
   * Tells the plugin which pods and containers there are.
   * @returns the updates for which the plugin asks. After a failure, the plugin is dropped.
   */
  async synchronize(
    pods: readonly nri.IPodSandbox[],
    containers: readonly nri.IContainer[],
  ): Promise<Decoded<nri.IContainerUpdate>[]> {
    const end = performance.now() + this.surroundings.limits.requestMs;
    try {
      let updates: Decoded<nri.IContainerUpdate>[] = [];
      for (const message of syncMessages(pods, containers)) {
        const answer = await this.call(
          'Synchronize',
          message,
          Math.max(1, Math.ceil(end - performance.now())),
        );
        if (message.more === true && (answer.update.length > 0 || !answer.more))
          throw protocolError('it cannot take a Synchronize request in several messages');
        updates = answer.update;
      }
      return updates;
    } catch (error) {
      throw this.drop(error);
    }
  }

  /**
   * Passes a request to the plugin.
   * @returns undefined when the plugin has not subscribed to the event, and when it was dropped, which is logged.
   * @throws AnsweredError when the plugin refuses, which makes the whole operation fail.
   */
  async relay<Event extends PluginEvent>(
    event: Event,
    request: PluginRequest<Event>,
  ): Promise<PluginAnswer<Event> | undefined> {
    if (this.isClosed || !this.isSubscribedTo(event)) return undefined;
    try {
      if (this.isOld && isNotified(event)) await this.notify(event, request as nri.IStateChangeEvent);
      else return await this.call(event, request);
    } catch (error) {
      if (
        isNotified(event) &&
        !this.isOld &&
        error instanceof AnsweredError &&
        hasCode(error, 'UNIMPLEMENTED')
      ) {
        this.isOld = true;
        this.surroundings.logger.warn('An NRI plugin supports only the old method StateChange; update it', {
          plugin: this.fullName,
          method: event,
        });
        return this.relay(event, request);
      }
      if (error instanceof AnsweredError || error instanceof OversizedMessageError) throw error;
      this.drop(new RuntimeError('UNAVAILABLE', `${event} failed: ${messageOf(error)}`, { cause: error }));
    }
    return undefined;
  }

  /** Calls the plugin's Shutdown and closes the connection. Never throws. */
  async shutdown(): Promise<void> {
    if (!this.isClosed) await this.call('Shutdown', {}).catch(() => undefined);
    this.reason ??= new RuntimeError('UNAVAILABLE', 'dockbridge ends');
    this.mux.close(this.reason);
  }

  /** Closes the connection and logs why, once. Returns the error for the caller. */
  drop(error: unknown): RuntimeError {
    const reason = error instanceof RuntimeError ? error : new RuntimeError('UNKNOWN', messageOf(error));
    if (this.reason !== undefined) return reason;
    this.reason = reason;
    this.surroundings.logger.warn('An NRI plugin is dropped', {
      plugin: this.fullName,
      error: reason.message,
    });
    this.mux.close(reason);
    return reason;
  }

  private async configure(): Promise<void> {
    const { runtimeName, runtimeVersion, limits } = this.surroundings;
    const { events } = await this.call('Configure', {
      config: this.installed?.config ?? '',
      runtime_name: runtimeName,
      runtime_version: runtimeVersion,
      registration_timeout: Long.fromNumber(limits.registrationMs),
      request_timeout: Long.fromNumber(limits.requestMs),
      NRI_version: NRI_VERSION,
    });
    if ((events & ~ALL_EVENTS) !== 0)
      throw protocolError(`it subscribes to unknown events (0x${(events >>> 0).toString(16)})`);
    this.events = events === 0 ? ALL_EVENTS : events;
  }

  /** Old plugins answer StateChange for all events that need no answer. */
  private async notify(event: NotifiedEvent, request: nri.IStateChangeEvent): Promise<void> {
    await this.call('StateChange', { ...request, event: EVENT_NUMBERS[event] as nri.Event });
  }

  private async call<Method extends PluginMethod>(
    method: Method,
    request: PluginRequest<Method>,
    timeoutMs = this.surroundings.limits.requestMs,
  ): Promise<PluginAnswer<Method>> {
    // TypeScript cannot know that codecs and request belong to the same method.
    const codecs: NriMethod<unknown, unknown> = PLUGIN_METHODS[method];
    return (await this.client.call(
      PLUGIN_SERVICE,
      method,
      codecs,
      request,
      timeoutMs,
    )) as PluginAnswer<Method>;
  }

  private register({ plugin_name, plugin_idx }: Decoded<nri.IRegisterPluginRequest>): Promise<nri.IEmpty> {
    if (this.isRegistered) return Promise.reject(failedPrecondition('the plugin is registered already'));
    this.isRegistered = true;
    if (this.installed === undefined) {
      const identity = { index: plugin_idx, name: plugin_name };
      const fault = faultOfIdentity(identity);
      if (fault !== undefined) {
        this.onRegistered(fault);
        return Promise.reject(fault);
      }
      this.identity = identity;
    }
    this.onRegistered();
    return Promise.resolve({});
  }

  private async updateContainers({
    update,
  }: Decoded<nri.IUpdateContainersRequest>): Promise<nri.IUpdateContainersResponse> {
    if (!this.isRegistered) throw failedPrecondition('the plugin is not registered');
    return { failed: await this.surroundings.update(this.fullName, update) };
  }
}
