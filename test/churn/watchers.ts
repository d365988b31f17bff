import { setTimeout as delay } from 'node:timers/promises';
import { status as codes, type ServiceError } from '@grpc/grpc-js';
import { ContainerEventType, ContainerState } from '../../src/proto/enums';
import { EventWatch } from '../integration/support/event-watch';
import type { World } from './world';

const PERIOD_MS = 250;
/** A list that takes longer, while no blow is under way, was held up by something (ms). */
const SLOW_LIST_MS = 2_000;

/** Asks for lists all the time, as PLEG does: however the Engine hangs, they are answered from memory. */
export class ListWatch {
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
    while (!this.over) {
      await this.world.calm;
      const { generation } = this.world;
      const begun = performance.now();
      try {
        await this.world.client.call('ListContainers', {}, 10_000);
      } catch (error) {
        const { code } = error as ServiceError;
        if (generation === this.world.generation && code !== codes.UNAVAILABLE)
          this.world.violate(`ListContainers: ${String(error)}`);
      }
      const took = performance.now() - begun;
      if (generation === this.world.generation) {
        this.tookMs.push(took);
        if (took > SLOW_LIST_MS) this.world.violate(`ListContainers took ${Math.round(took)} ms`);
      }
      await delay(PERIOD_MS);
    }
  }
}

/** Follows GetContainerEvents of one daemon after the other. */
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

  private async watch(): Promise<void> {
    while (!this.over) {
      await this.world.calm;
      try {
        this.open = await EventWatch.open(this.world.client);
        await this.open.ended;
        this.check(this.open);
      } catch {
        // A daemon that goes takes its streams along: the next one is asked.
      }
      await delay(PERIOD_MS);
    }
  }

  /** An event never says that a container is in a state before the one that the event tells of. */
  private check({ events }: EventWatch): void {
    this.events += events.length;
    const ended = new Set<string>();
    for (const { container_id, container_event_type: type, containers_statuses } of events) {
      const state = containers_statuses.find(({ id }) => id === container_id)?.state;
      const name = container_id.slice(0, 12);
      if (type === ContainerEventType.CONTAINER_STOPPED_EVENT) {
        ended.add(container_id);
        if (state !== undefined && state !== ContainerState.CONTAINER_EXITED)
          this.world.violate(`a STOPPED event of ${name} has it in state ${state}`);
      }
      if (type === ContainerEventType.CONTAINER_STARTED_EVENT) {
        if (ended.has(container_id)) this.world.violate(`a STARTED event of ${name} comes after its end`);
        if (state === ContainerState.CONTAINER_CREATED)
          this.world.violate(`a STARTED event of ${name} has it as created`);
      }
    }
  }
}
