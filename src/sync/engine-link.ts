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
  /** Whether the Engine's directories are ours to see. */
  readonly localEngine: boolean;
  /** Other times than usual, for tests. */
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
 * the node from being served; after a loss, those that are known count until they are read again.
 */
export class EngineLink {
  private readonly dated = new DatedLinkState({ ready: false, reason: 'Docker Engine has not answered yet' });
  private synced = false;
  /** `store.listed` or the store knows all containers. */
  private listed = false;
  /** All of these are being inspected. */
  private inspecting = false;
  /** Events are followed and containers were read, so everything works that does not need the facts. */
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

  /** How long it has been ready, or has not, ms. */
  get stateAge(): number {
    return this.dated.age;
  }

  /**
   * Changes with each step of the loop, whether or not the Engine answers, so that a watchdog sees that the loop still turns.
   */
  get steps(): number | 'ended' {
    return this.stopped.signal.aborted ? 'ended' : this.stepCount;
  }

  /** What is wrong with the Engine although it is connected. */
  get trouble(): EngineTrouble | undefined {
    if (!this.state.ready) return undefined;
    const { trouble } = this.parts.watch;
    return trouble?.isStuck === true ? trouble : (this.facts.trouble ?? trouble);
  }

  /** Whether the store was ever filled. */
  get hasSynced(): boolean {
    return this.synced;
  }

  /** Returns at once; `whenReady` resolves when the first connection is made. */
  start(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped.abort(unavailable('dockbridge is shutting down'));
    await this.running;
  }

  /**
   * Ends the connection for good while the daemon lives on. The store keeps what it knows, and `state` says why.
   * @param word the reason in one CamelCase word.
   */
  async end(word: string, reason: string): Promise<void> {
    this.stopped.abort(unavailable(reason));
    await this.running;
    this.dated.value = { ready: false, reason, word };
  }

  /**
   * For writes that need no facts: a pod can be stopped on an Engine that does not tell its facts yet.
   * @throws UNAVAILABLE with the reason when the Engine is not there within 2 s.
   */
  async whenConnected(signal?: AbortSignal): Promise<void> {
    await this.when(() => this.connected, signal);
  }

  /** The same for writes that need to know what the Engine is. */
  async whenReady(signal?: AbortSignal): Promise<void> {
    const { writePatience, factsPatience } = this.times;
    await this.when(() => this.state.ready || this.connected, signal);
    await this.when(() => this.state.ready || !this.connected, signal, factsPatience);
    await this.when(() => this.state.ready, signal, writePatience);
  }

  /**
   * Reads the facts again, for a caller that is about to refuse something because of them.
   * @throws DEADLINE_EXCEEDED when it does not answer in time.
   */
  async readFactsAgain(signal: AbortSignal): Promise<void> {
    await withDeadline('Docker Engine (/info)', this.times.probeTimeout, signal, (limit) =>
      this.facts.readAgain(limit),
    );
  }

  /**
   * For reads: the store is an answer once it was filled, however long ago.
   * @throws UNAVAILABLE when the Engine has not been read yet and does not come within 2 s.
   */
  async whenSyncedOnce(signal?: AbortSignal): Promise<void> {
    await this.when(() => this.synced, signal);
  }

  /** For reads of what the Engine tells first: which containers it has, and its version. */
  async whenAnswered(signal?: AbortSignal): Promise<void> {
    await this.when(() => this.listed, signal);
  }

  /**
   * For lists, which do not need everything about a container. A list is never short: it has all containers or fails.
   * @throws UNAVAILABLE when the Engine has not listed its containers within 2 s, or is slow to answer the inspects of those
   * about which its list does not tell enough.
   */
  async whenListed(kind: 'sandbox' | 'container', signal?: AbortSignal): Promise<void> {
    const { listed } = this.parts.store;
    await this.whenAnswered(signal);
    await this.whenInspected(() => listed.missing(kind) === 0, signal);
  }

  /** For reads of one container, which is inspected before the others. */
  async whenContainerKnown(id: string, signal?: AbortSignal): Promise<void> {
    const { listed } = this.parts.store;
    if (!isWhole(id)) return this.whenSyncedOnce(signal);
    await this.whenAnswered(signal);
    listed.want(id);
    await this.whenInspected(() => !listed.has(id), signal);
  }

  /** The same for reads of one sandbox and its containers. */
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

  /** The same for reads of images, which have a list of their own. */
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
          // The claim has logged it.
          this.refuse(reason);
        } else {
          // Log each reason once, not each attempt.
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

  /** One connection, from connect to loss. Always rejects. */
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
      // The deadline is for the answer only; the feed itself lives as long as the session.
      const feed = await waitAtMost(
        'Subscribing to Engine events',
        this.times.probeTimeout,
        openEventFeed(docker, signal),
        signal,
      );
      const lost = firstEnd(this.follow(feed, signal), displaced);
      // An Engine that cannot list its images still runs pods, and is asked again until it can.
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
      this.dated.value = { ready: false, reason: 'Docker Engine has not said yet what it is (/info)' };
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

  /** A list names a container's image by what is known of images, so their list gets some time before the first one. */
  private areListed(signal: AbortSignal): void {
    if (signal.aborted || this.synced) return;
    this.listed = true;
    this.inspecting = true;
    this.dated.value = { ready: false, reason: 'Docker Engine has not told yet how each container is' };
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

  /** The Engine has read daemon.json again: it may have other runtimes, or another default. */
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
      // A stopped Engine ends the event stream at once, so one late answer on a busy node is no outage yet.
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

/** A shorter id may be a prefix. Which container it means is known only when all containers are known. */
function isWhole(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}
