import { openEventFeed, type EventFeed } from '../docker/event-feed';
import type { DockerClient } from '../docker/client';
import { abortable } from '../lib/abortable';
import { sharedAbortController, waitAtMost, withDeadline } from '../lib/deadline';
import { hasCode, messageOf, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { pause } from '../lib/pause';
import type { EngineFacts } from '../store/records';
import type { Store } from '../store/store';
import { findImageDirectory } from '../system/image-directory';
import { toFacts } from '../translate/engine-facts';
import type { ContainerEvents } from './container-events';
import type { ContainerResync } from './container-resync';
import type { DiskUsage } from './disk-usage';
import type { ForeignContainers } from './foreign-containers';
import type { ImageSync } from './image-sync';

/** All in ms. */
export interface LinkTimes {
  /** A stopped Engine is asked again this soon: its return must be noticed within 2 s. */
  readonly reconnect: number;
  /** A healthy Engine answers in milliseconds; one that does not is as good as down. */
  readonly probeTimeout: number;
  readonly heartbeat: number;
  /** A net below the events, should the Engine drop one: a list, and inspects only where states differ. */
  readonly resync: number;
  /** How long a write waits for an Engine that is just coming back before it is refused as UNAVAILABLE. */
  readonly writePatience: number;
}

const TIMES: LinkTimes = {
  reconnect: 300,
  probeTimeout: 5_000,
  heartbeat: 10_000,
  resync: 60_000,
  writePatience: 2_000,
};

export interface EngineLinkParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly containerResync: ContainerResync;
  readonly containerEvents: ContainerEvents;
  readonly foreignContainers: ForeignContainers;
  readonly imageSync: ImageSync;
  readonly diskUsage: Pick<DiskUsage, 'run'>;
  readonly logger: Logger;
  /** Whether the Engine's directories are ours to see. */
  readonly localEngine: boolean;
  /** Other times than usual, for tests. */
  readonly times?: Partial<LinkTimes>;
}

export type LinkState = { readonly ready: true } | { readonly ready: false; readonly reason: string };

/**
 * The connection to the Engine:
 *
 *   connect ──▶ facts ──▶ subscribe ──▶ full resync ──▶ ready ──┐
 *      ▲                                                        │ stream ends, heartbeat fails
 *      └──────────────── wait 0.3 s ◀── down (reason) ◀─────────┘
 *
 * Subscribed before the list, so nothing falls in between. The store keeps its last knowledge while down.
 */
export class EngineLink {
  private current: LinkState = { ready: false, reason: 'Docker Engine has not answered yet' };
  private everReady = false;
  private readonly waiters = new Set<() => void>();
  private readonly stopped = sharedAbortController();
  private running: Promise<void> = Promise.resolve();

  private readonly times: LinkTimes;

  constructor(private readonly parts: EngineLinkParts) {
    this.times = { ...TIMES, ...parts.times };
  }

  get state(): LinkState {
    return this.current;
  }

  /** Whether the store was ever filled. */
  get hasSynced(): boolean {
    return this.everReady;
  }

  /** Returns at once; `whenReady` tells when the first connection stands. */
  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort(unavailable('dockbridge is shutting down'));
    await this.running;
  }

  /** @throws UNAVAILABLE with the reason when the Engine is not there within 2 s. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    if (this.current.ready) return;
    await withDeadline('Docker Engine', this.times.writePatience, signal, (limit) =>
      this.nextReady(limit),
    ).catch(() => {
      signal?.throwIfAborted();
      if (!this.current.ready) throw unavailable(this.current.reason);
    });
  }

  /**
   * For reads: the store is an answer once it was filled, however long ago.
   * @throws UNAVAILABLE when the Engine has not been read yet and does not come within 2 s.
   */
  async whenSyncedOnce(signal?: AbortSignal): Promise<void> {
    if (!this.everReady) await this.whenReady(signal);
  }

  private async nextReady(signal: AbortSignal): Promise<void> {
    let wake!: () => void;
    const ready = new Promise<void>((resolve) => (wake = resolve));
    this.waiters.add(wake);
    try {
      await abortable(ready, signal);
    } finally {
      this.waiters.delete(wake);
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    const isStopping = (): boolean => signal.aborted;
    let reported = '';
    while (!isStopping()) {
      try {
        await this.session();
      } catch (error) {
        const reason = messageOf(error);
        // Once per reason, not once per attempt.
        if (!isStopping() && (this.current.ready || reason !== reported)) {
          this.parts.logger.error('Docker Engine is not available', { reason });
          reported = reason;
        }
        this.current = { ready: false, reason };
      }
      await pause(this.times.reconnect, signal);
    }
  }

  /** One connection, from connect to loss: always rejects. */
  private async session(): Promise<never> {
    const { docker, store, containerResync, imageSync, diskUsage, logger } = this.parts;
    const controller = sharedAbortController();
    const onStop = (): void => controller.abort(this.stopped.signal.reason);
    this.stopped.signal.addEventListener('abort', onStop, { once: true });
    try {
      const { signal } = controller;
      store.engine = await this.readFacts(signal);
      // The limit is for the answer only: the feed itself lives as long as the session.
      const feed = await waitAtMost(
        'Subscribing to Engine events',
        this.times.probeTimeout,
        openEventFeed(docker, signal),
        signal,
      );
      const lost = this.follow(feed, signal);
      const images = imageSync.resync(signal).catch((error: unknown) => {
        // An Engine that cannot list its images still runs pods: asked again until it can.
        if (signal.aborted || hasCode(error, 'UNAVAILABLE')) throw error;
        imageSync.requestResync(signal);
      });
      await Promise.race([lost, Promise.all([containerResync.run(true, signal), images])]);
      this.current = { ready: true };
      this.everReady = true;
      logger.info('Connected to Docker Engine', {
        version: store.engine.engineVersion,
        sandboxes: store.sandboxes.size,
        containers: store.containers.size,
        images: store.images.size,
      });
      for (const wake of this.waiters) wake();
      void diskUsage.run(signal);
      return await Promise.race([lost, this.heartbeat(signal)]);
    } finally {
      this.stopped.signal.removeEventListener('abort', onStop);
      controller.abort(unavailable('the connection to Docker Engine was lost'));
    }
  }

  private follow(feed: EventFeed, signal: AbortSignal): Promise<never> {
    const { containerEvents, foreignContainers, imageSync } = this.parts;
    const lost = feed.consume((event) => {
      if (event.Type === 'image') imageSync.requestResync(signal);
      if (event.Type !== 'container') return;
      containerEvents.handle(event);
      foreignContainers.handle(event, signal);
    });
    // Also watched by a race that may have been decided already.
    lost.catch(() => undefined);
    return lost;
  }

  private async heartbeat(signal: AbortSignal): Promise<never> {
    const { containerResync, imageSync, logger } = this.parts;
    let resyncAt = Date.now() + this.times.resync;
    for (;;) {
      await pause(this.times.heartbeat, signal);
      // The event stream tells of a stopped Engine at once; one late answer on a busy node is no outage yet.
      await this.ping(signal).catch(() => this.ping(signal));
      try {
        await containerResync.retryDoubtful(signal);
        if (Date.now() < resyncAt) continue;
        resyncAt = Date.now() + this.times.resync;
        await containerResync.run(false, signal);
        imageSync.requestResync(signal);
      } catch (error) {
        if (signal.aborted || hasCode(error, 'UNAVAILABLE')) throw error;
        logger.warn('The periodic comparison with the Engine failed', { error: messageOf(error) });
      }
    }
  }

  private async ping(signal: AbortSignal): Promise<void> {
    const { docker } = this.parts;
    await withDeadline('Docker Engine ping', this.times.probeTimeout, signal, (limit) =>
      docker.ping({ signal: limit }),
    );
  }

  private async readFacts(signal: AbortSignal): Promise<EngineFacts> {
    const { docker, localEngine } = this.parts;
    const [version, info] = await withDeadline('Docker Engine', this.times.probeTimeout, signal, (limit) =>
      Promise.all([docker.version({ signal: limit }), docker.info({ signal: limit })]),
    );
    const facts = toFacts(version, info);
    return localEngine ? { ...facts, imageDirectory: await findImageDirectory(facts) } : facts;
  }
}
