import { setTimeout as delay } from 'node:timers/promises';
import { ContainerEventType, ContainerState } from '../../src/proto/enums';
import { EventWatch, typeName, type CriEvent } from '../integration/support/event-watch';
import type { World } from './world';

const PERIOD_MS = 250;
/** A list that takes longer than this is blocked, however busy the machine is (ms). */
const STUCK_LIST_MS = 30_000;

/**
 * Calls ListContainers again and again, as PLEG does. dockbridge answers from memory even if the Engine hangs
 * or is gone.
 */
export class ListWatch {
  /** How long lists took while an Engine call hung (ms). */
  readonly hungMs: number[] = [];
  readonly tookMs: number[] = [];
  private over = false;
  private readonly done: Promise<void>;

  constructor(private readonly world: World) {
    this.done = this.watch();
  }

  async stop(): Promise<void> {
    this.over = true;
    await this.done;
  }

  private async watch(): Promise<void> {
    const { world } = this;
    while (!this.over) {
      await world.reachable;
      const { daemonGeneration } = world;
      const hung = world.proxy.hanging.length > 0;
      const begun = performance.now();
      try {
        await world.client.call('ListContainers', {}, STUCK_LIST_MS);
        world.lists++;
        const took = performance.now() - begun;
        this.tookMs.push(took);
        if (hung) this.hungMs.push(took);
      } catch (error) {
        if (daemonGeneration === world.daemonGeneration) world.violate(`ListContainers: ${String(error)}`);
      }
      await delay(PERIOD_MS);
    }
  }
}

/** Follows GetContainerEvents, again after each start of a daemon. */
export class EventsWatch {
  events = 0;
  private over = false;
  private open: EventWatch | undefined;
  private readonly done: Promise<void>;

  constructor(private readonly world: World) {
    this.done = this.watch();
  }

  async stop(): Promise<void> {
    this.over = true;
    await this.open?.close();
    await this.done;
  }

  /** Returns the last event that the present daemon has reported, for each container and sandbox by id. */
  lastWords(): ReadonlyMap<string, string> {
    return new Map(this.open?.events.map((event) => [event.container_id, typeName(event)]));
  }

  private async watch(): Promise<void> {
    while (!this.over) {
      await this.world.reachable;
      try {
        this.open = await EventWatch.open(this.world.client);
        const how = await this.open.ended;
        this.check(this.open.events, how);
      } catch {
        // A daemon that ends closes its streams. The next daemon gets a new stream.
      }
      this.open = undefined;
      await delay(PERIOD_MS);
    }
  }

  /**
   * Checks that the client was not cut off, that no container stops twice or starts after its end, and that no
   * event contains a state earlier than the change that it reports.
   */
  private check(events: readonly CriEvent[], how: string): void {
    this.events += events.length;
    // A consumer that is disconnected has missed an event.
    if (how === 'RESOURCE_EXHAUSTED') this.world.violate('the consumer of events was cut off');
    const ended = new Set<string>();
    for (const { container_id, container_event_type: type, containers_statuses } of events) {
      const state = containers_statuses.find(({ id }) => id === container_id)?.state;
      const name = container_id.slice(0, 12);
      if (type === ContainerEventType.CONTAINER_STOPPED_EVENT) {
        if (ended.has(container_id)) this.world.violate(`a second STOPPED event of ${name}`);
        ended.add(container_id);
        if (state !== undefined && state !== ContainerState.CONTAINER_EXITED)
          this.world.violate(`a STOPPED event of ${name} contains state ${state}`);
      }
      if (type === ContainerEventType.CONTAINER_STARTED_EVENT) {
        if (ended.has(container_id))
          this.world.violate(`a STARTED event of ${name} comes after its STOPPED event`);
        if (state === ContainerState.CONTAINER_CREATED)
          this.world.violate(`a STARTED event of ${name} contains state created`);
      }
    }
  }
}
