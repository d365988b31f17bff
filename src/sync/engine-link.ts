import { openEventFeed, type EventFeed } from '../docker/event-feed';
import type { DockerClient } from '../docker/client';
import { abortable, firstEnd, pause } from '../lib/async/abortable';
import { sharedAbortController, waitAtMost, withDeadline } from '../lib/async/deadline';
import { hasCode, messageOf, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/store';
import type { ContainerEvents } from '../containers/events';
import type { ContainerResync } from '../containers/resync';
import type { DiskUsage } from './disk-usage';
import type { EngineTrouble, EngineWatch } from './engine-watch';
import { EngineTaken, type EngineClaim } from './engine-claim';
import type { FactsMemory } from './facts-memory';
import { FactsReader } from './facts-reader';
import type { ForeignContainers } from '../containers/foreign';
import type { ImageSync } from './image-sync';
import { DatedLinkState, type LinkState } from './link-state';
import { LINK_TIMES, type LinkTimes } from './link-times';

export interface EngineLinkParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly containerResync: ContainerResync;
  readonly containerEvents: ContainerEvents;
  readonly foreignContainers: ForeignContainers;
  readonly imageSync: ImageSync;
  readonly diskUsage: Pick<DiskUsage, 'run'>;
  readonly watch: Pick<EngineWatch, 'trouble' | 'look'>;
  readonly claim: Pick<EngineClaim, 'hold' | 'holdWay'>;
  readonly factsMemory?: FactsMemory;
  readonly logger: Logger;
  /** Whether dockbridge can see the Engine's directories. */
  readonly localEngine: boolean;
  /** Replaces some of the usual times, for tests. */
  readonly times?: Partial<LinkTimes>;
}

/**
 * The connection to the Engine:
 *
 *   claim endpoint ──▶ version, facts ──▶ claim Engine ──▶ subscribe ──▶ full resync ──▶ ready ──┐
 *      ▲                                                                                         │ stream ends, heartbeat fails
 *      └───────────────────────── wait 0.3 s ◀── down (reason) ◀─────────────────────────────────┘
 *
 * Nothing is changed before the Engine is claimed. The subscription comes before the list, so that no event is missed between
 * them. The store keeps what it knows while the Engine is down. Facts and images are read in parallel, because neither may keep
 * the node from being served. After a loss, the known facts and images are used until they are read again.
 */
export class EngineLink {
  private readonly dated = new DatedLinkState({ ready: false, reason: 'Docker Engine has not answered yet' });
  private synced = false;
  /** Whether every container of the Engine is in one of the store's tables, `store.listed` included. */
  private listed = false;
  /** Whether the listed containers are being inspected. */
  private inspecting = false;
  /** Whether events arrive and all containers were inspected, so that everything that does not need the facts works. */
  private connected = false;
  private readonly facts: FactsReader;
  private readonly waiters = new Set<() => void>();
  private readonly stopped = sharedAbortController();
  private running: Promise<void> = Promise.resolve();
  private stepCount = 0;
  private readonly times: LinkTimes;

  constructor(private readonly parts: EngineLinkParts) {
    this.times = { ...LINK_TIMES, ...parts.times };
    this.facts = new FactsReader(parts, this.times);
    parts.store.listed.subscribe(() => this.stepped());
  }

  get state(): LinkState {
    return this.dated.value;
  }

  /** How long the present state (ready or not ready) has lasted, in ms. */
  get stateAge(): number {
    return this.dated.age;
  }

  /** A counter that changes with each step of the loop, so that a watchdog sees that the loop still runs. */
  get steps(): number | 'ended' {
    return this.stopped.signal.aborted ? 'ended' : this.stepCount;
  }

  /** The Engine's trouble while it is connected; undefined when there is none. */
  get trouble(): EngineTrouble | undefined {
    if (!this.state.ready) return undefined;
    const { trouble } = this.parts.watch;
    return trouble?.isStuck === true ? trouble : (this.facts.trouble ?? trouble);
  }

  /** Whether the store has been filled at least once. */
  get hasSynced(): boolean {
    return this.synced;
  }

  /** Starts the loop and returns at once. `whenReady` resolves when the first connection is ready. */
  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort(unavailable('dockbridge is shutting down'));
    await this.running;
  }

  /**
   * Ends the connection for good while the daemon continues to run and the store keeps its records.
   * @param word the reason as one CamelCase word.
   */
  async end(word: string, reason: string): Promise<void> {
    this.stopped.abort(unavailable(reason));
    await this.running;
    this.dated.value = { ready: false, reason, word };
  }

  /** Waits for a connection, for writes that need no facts: a stop is possible before the Engine reports its facts. */
  async whenConnected(signal?: AbortSignal): Promise<void> {
    await this.when(() => this.connected, signal);
  }

  /** Waits for a ready connection, for writes that need the Engine's facts. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    const { writePatience, factsPatience } = this.times;
    await this.when(() => this.state.ready || this.connected, signal);
    await this.when(() => this.state.ready || !this.connected, signal, factsPatience);
    await this.when(() => this.state.ready, signal, writePatience);
  }

  /**
   * Reads the facts again, for a caller that is about to refuse a request because of them.
   * @throws DEADLINE_EXCEEDED when the Engine does not answer in time.
   */
  async readFactsAgain(signal: AbortSignal): Promise<void> {
    await withDeadline('Docker Engine (/info)', this.times.probeTimeout, signal, (limit) =>
      this.facts.readAgain(limit),
    );
  }

  /** Waits until the store has been filled once, however long ago, which suffices for reads. */
  async whenSyncedOnce(signal?: AbortSignal): Promise<void> {
    await this.when(() => this.synced, signal);
  }

  /** Waits for the Engine's first answers, for reads that need only its version or the list of its containers. */
  async whenAnswered(signal?: AbortSignal): Promise<void> {
    await this.when(() => this.listed, signal);
  }

  /**
   * Waits until a list can be complete, which does not need every value of each container. A list either includes all
   * containers or fails.
   */
  async whenListed(kind: 'sandbox' | 'container', signal?: AbortSignal): Promise<void> {
    const { listed } = this.parts.store;
    await this.whenAnswered(signal);
    await this.whenInspected(() => listed.missing(kind) === 0, signal);
  }

  /** Waits until one container is known, for reads of it. The container is inspected before the others. */
  async whenContainerKnown(id: string, signal?: AbortSignal): Promise<void> {
    const { listed } = this.parts.store;
    if (!isWhole(id)) return this.whenSyncedOnce(signal);
    await this.whenAnswered(signal);
    listed.want(id);
    await this.whenInspected(() => !listed.has(id), signal);
  }

  /** Waits until one sandbox and its containers are known. They are inspected before the others. */
  async whenPodKnown(sandboxId: string, signal?: AbortSignal): Promise<void> {
    const { listed } = this.parts.store;
    if (!isWhole(sandboxId)) return this.whenSyncedOnce(signal);
    await this.whenAnswered(signal);
    listed.wantPod(sandboxId);
    await this.whenInspected(() => !listed.hasPod(sandboxId), signal);
  }

  private async whenInspected(condition: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    await this.when(() => condition() || !this.inspecting, signal, this.times.factsPatience);
    await this.when(condition, signal);
  }

  /** Waits until the store has been filled once and the images have been listed once. */
  async whenImagesSyncedOnce(signal?: AbortSignal): Promise<void> {
    const { imageSync } = this.parts;
    await this.whenSyncedOnce(signal);
    if (imageSync.hasListed) return;
    await withDeadline('Docker Engine', this.times.writePatience, signal, (limit) =>
      imageSync.whenListed(limit),
    ).catch(() => {
      signal?.throwIfAborted();
      if (!imageSync.hasListed)
        throw unavailable(
          this.state.ready ? 'Docker Engine has not listed its images yet' : this.state.reason,
        );
    });
  }

  private async when(
    condition: () => boolean,
    signal: AbortSignal | undefined,
    patienceMs = this.times.writePatience,
  ): Promise<void> {
    if (condition()) return;
    await withDeadline('Docker Engine', patienceMs, signal, async (limit) => {
      while (!condition()) await this.nextStep(limit);
    }).catch(() => {
      signal?.throwIfAborted();
      if (condition()) return;
      throw unavailable(this.state.ready ? 'Docker Engine was lost' : this.state.reason);
    });
  }

  private async nextStep(signal: AbortSignal): Promise<void> {
    let wake!: () => void;
    const stepped = new Promise<void>((resolve) => (wake = resolve));
    this.waiters.add(wake);
    try {
      await abortable(stepped, signal);
    } finally {
      this.waiters.delete(wake);
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    const isStopping = (): boolean => signal.aborted;
    let reported = '';
    while (!isStopping()) {
      this.stepCount++;
      try {
        await this.session();
      } catch (error) {
        const reason = messageOf(error);
        if (error instanceof EngineTaken) {
          // EngineClaim has already logged this reason.
          this.refuse(reason);
        } else {
          // Each reason is logged once, not at each attempt.
          if (!isStopping() && (this.dated.value.ready || reason !== reported)) {
            this.parts.logger.error('Docker Engine is not available', { reason });
            reported = reason;
          }
          this.dated.value = { ready: false, reason };
        }
      }
      await pause(this.times.reconnect, signal);
    }
  }

  /** Runs one connection, from connect to loss. Always rejects. */
  private async session(): Promise<never> {
    const { docker, store, containerResync, imageSync, diskUsage, claim, logger } = this.parts;
    const controller = sharedAbortController();
    const onStop = (): void => controller.abort(this.stopped.signal.reason);
    this.stopped.signal.addEventListener('abort', onStop, { once: true });
    try {
      const { signal } = controller;
      const onTaken = (reason: string): void => this.refuse(reason);
      await claim.holdWay(signal, onTaken);
      const version = await withDeadline('Docker Engine', this.times.probeTimeout, signal, (limit) =>
        docker.version({ signal: limit }),
      );
      const facts = this.facts.read(version, signal, this.stopped.signal);
      const { displaced } = await claim.hold(facts.learned, signal, onTaken);
      // The deadline applies only to the answer. The feed itself lives as long as the session.
      const feed = await waitAtMost(
        'Subscribing to Engine events',
        this.times.probeTimeout,
        openEventFeed(docker, signal),
        signal,
      );
      const lost = firstEnd(this.follow(feed, signal), displaced);
      // An Engine that cannot list its images still runs pods. ImageSync repeats the list until it succeeds.
      imageSync.requestResync(signal);
      const images = Promise.race([imageSync.whenListed(signal), pause(this.times.imagePatience, signal)]);
      images.catch(() => undefined);
      const onListed = (): void =>
        void images.then(
          () => this.areListed(signal),
          () => undefined,
        );
      const resynced = containerResync.run(true, signal, onListed).then(() => {
        this.synced = true;
        this.listed = true;
        this.inspecting = false;
        this.connected = !signal.aborted;
        this.stepped();
      });
      await Promise.race([lost, resynced]);
      this.dated.value = { ready: false, reason: 'Docker Engine has not answered /info yet' };
      await Promise.race([lost, facts.usable]);
      this.dated.value = { ready: false, reason: 'Docker Engine has not listed its images yet' };
      await Promise.race([lost, images]);
      this.dated.value = { ready: true };
      logger.info('Connected to Docker Engine', {
        version: version.Version,
        sandboxes: store.sandboxes.size,
        containers: store.containers.size,
        images: store.images.size,
      });
      this.stepped();
      void diskUsage.run(signal);
      return await Promise.race([lost, this.heartbeat(signal)]);
    } finally {
      this.inspecting = false;
      this.connected = false;
      this.stepped();
      this.stopped.signal.removeEventListener('abort', onStop);
      controller.abort(unavailable('the connection to Docker Engine was lost'));
    }
  }

  private refuse(reason: string): void {
    this.stepCount++;
    this.dated.value = { ready: false, reason, word: 'EngineTaken' };
  }

  /**
   * Allows lists to be answered. A list takes the names of images from the store, so the first list waits a while for the
   * images.
   */
  private areListed(signal: AbortSignal): void {
    if (signal.aborted || this.synced) return;
    this.listed = true;
    this.inspecting = true;
    this.dated.value = {
      ready: false,
      reason: 'Docker Engine has not answered the inspects of all containers yet',
    };
    this.stepped();
  }

  private stepped(): void {
    for (const wake of [...this.waiters]) wake();
  }

  private follow(feed: EventFeed, signal: AbortSignal): Promise<never> {
    const { containerEvents, foreignContainers, imageSync } = this.parts;
    const lost = feed.consume((event) => {
      if (event.Type === 'image') imageSync.requestResync(signal);
      if (event.Type === 'daemon') this.reread(signal);
      if (event.Type !== 'container') return;
      containerEvents.handle(event);
      foreignContainers.handle(event, signal);
    });
    return lost;
  }

  /** Reads the facts again after the Engine has reloaded daemon.json, because its runtimes may have changed. */
  private reread(signal: AbortSignal): void {
    this.facts.readAgain(signal).catch((error: unknown) => {
      if (signal.aborted) return;
      this.parts.logger.warn('Docker Engine was reloaded; cannot read its facts', {
        error: messageOf(error),
      });
    });
  }

  private async heartbeat(signal: AbortSignal): Promise<never> {
    const { containerResync, imageSync, watch, logger } = this.parts;
    let resyncAt = performance.now() + this.times.resync;
    for (;;) {
      this.stepCount++;
      await pause(this.times.heartbeat, signal);
      // When an Engine stops, its event stream ends at once. One late ping on a busy node therefore does not mean an
      // outage.
      await this.ping(signal).catch(() => this.ping(signal));
      watch.look(signal);
      this.facts.retry();
      try {
        await containerResync.retryDoubtful(signal);
        if (performance.now() < resyncAt) continue;
        resyncAt = performance.now() + this.times.resync;
        await containerResync.run(false, signal);
        imageSync.requestResync(signal);
      } catch (error) {
        if (signal.aborted || hasCode(error, 'UNAVAILABLE')) throw error;
        logger.warn('The periodic comparison with Docker Engine failed', { error: messageOf(error) });
      }
    }
  }

  private async ping(signal: AbortSignal): Promise<void> {
    const { docker } = this.parts;
    await withDeadline('Docker Engine ping', this.times.probeTimeout, signal, (limit) =>
      docker.ping({ signal: limit }),
    );
  }
}

/**
 * Whether the id is complete. A shorter id may be a prefix, and its container is certain only when all containers are
 * known.
 */
function isWhole(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}
