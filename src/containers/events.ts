import Long from 'long';
import { withDeadline } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { NameReservations } from '../store/name-reservations';
import type { EngineState } from '../store/records';
import type { Store } from '../store/store';
import type { EngineEvent } from '../engine/types';
import { CONTAINER_TYPE, SANDBOX_TYPE, TYPE_LABEL } from '../translate/shared/labels';
import { nanosFromNumber } from '../translate/shared/time';
import type { ContainerSync } from './container-sync';

/** A healthy Engine inspects in milliseconds. While we wait, the container's next events wait too. */
const INSPECT_MS = 10_000;

export interface ContainerEventsParts {
  readonly sync: ContainerSync;
  readonly store: Store;
  readonly reservations: NameReservations;
  readonly logger: Logger;
  /** Told of a container whose event could not be applied: it has to be asked for until an inspect succeeds. */
  readonly onDoubt: (id: string) => void;
  /** Told, for metrics, how many seconds after its stamp an event was in the store. */
  readonly onApplied?: (lagSeconds: number) => void;
}

/**
 * Engine events → records. Of a container's death the Engine is asked, for its event is stamped after the fact; echoes of
 * what a handler did find the record up to date and change nothing.
 */
export class ContainerEvents {
  constructor(private readonly parts: ContainerEventsParts) {}

  /** Returns at once; the work is queued behind whatever else is done to that container. */
  handle(event: EngineEvent): void {
    const { Attributes: attributes } = event.Actor;
    if (![SANDBOX_TYPE, CONTAINER_TYPE].includes(attributes[TYPE_LABEL] ?? '')) return;
    const { reservations, store } = this.parts;
    const { name = '' } = attributes;
    store.listed.distrust(event.Actor.ID);
    const isBirth = event.Action === 'create' || event.Action === 'start';
    // The handler that creates it inspects it after the start; its death, though, is news to the handler too. After the
    // handler, for the birth may be that of an earlier call's container, of which this call knows nothing.
    if (isBirth && reservations.isHeld(name)) void reservations.whenFree(name).then(() => this.queue(event));
    else this.queue(event);
  }

  private queue(event: EngineEvent): void {
    const { ID: id } = event.Actor;
    this.parts.sync.lock
      .run(id, async () => {
        await this.apply(event);
        this.parts.onApplied?.((Date.now() - event.timeNano / 1e6) / 1000);
      })
      .catch((error: unknown) => {
        this.parts.onDoubt(id);
        this.parts.logger.warn('Engine event could not be applied', {
          container: id,
          event: event.Action,
          error: messageOf(error),
        });
      });
  }

  private async apply(event: EngineEvent): Promise<void> {
    const { sync } = this.parts;
    const id = event.Actor.ID;
    switch (event.Action) {
      case 'create':
        if (!this.isKnown(id)) await this.ask(id);
        return;
      case 'start':
        if (!this.knowsStart(event)) await this.ask(id);
        return;
      case 'die':
        return this.died(event);
      case 'oom':
        this.ranOutOfMemory(id);
        return;
      case 'pause':
        this.setState(id, 'running', 'paused');
        return;
      case 'unpause':
        this.setState(id, 'paused', 'running');
        return;
      case 'destroy':
        return sync.forget(id);
      default:
        // rename, update: rare, so ask.
        await this.ask(id);
    }
  }

  private async ask(id: string): Promise<void> {
    await withDeadline('Inspecting a container', INSPECT_MS, undefined, (limit) =>
      this.parts.sync.refreshLocked(id, limit),
    );
  }

  private async died(event: EngineEvent): Promise<void> {
    const { sync, store } = this.parts;
    const id = event.Actor.ID;
    const sandbox = store.sandboxes.get(id);
    if (sandbox !== undefined) {
      if (sandbox.state !== 'exited') store.sandboxes.put({ ...sandbox, state: 'exited', pid: 0 });
      return;
    }
    const container = store.containers.get(id);
    if (container === undefined) return this.ask(id);
    // Seen already by the inspect that followed the start of a short-lived container.
    if (container.state === 'exited') return;
    const exitCode = Number(event.Actor.Attributes.exitCode);
    // Neither start nor log is known of a container that could only be listed so far: the event alone would not do.
    const isListedOnly = container.pid === 0;
    if (isListedOnly || container.startedAt.isZero() || !Number.isInteger(exitCode)) return this.ask(id);
    if (await sync.refreshEnded(id)) return;
    // It cannot be asked, as when it goes down with its containers: then its event has to do, and counts from now on.
    const finishedAt = nanosFromNumber(event.timeNano);
    await sync.putContainer({
      ...container,
      state: 'exited',
      pid: 0,
      exitCode,
      // Clocks may have been set back.
      finishedAt: finishedAt.greaterThan(container.startedAt)
        ? finishedAt
        : container.startedAt.add(Long.ONE),
    });
  }

  private ranOutOfMemory(id: string): void {
    const container = this.parts.store.containers.get(id);
    if (container !== undefined) this.parts.store.containers.put({ ...container, oomKilled: true });
  }

  private setState(id: string, from: EngineState, to: EngineState): void {
    const { sandboxes, containers } = this.parts.store;
    const sandbox = sandboxes.get(id);
    if (sandbox?.state === from) sandboxes.put({ ...sandbox, state: to });
    const container = containers.get(id);
    if (container?.state === from) containers.put({ ...container, state: to });
  }

  /** The echo of our own start, whose handler has inspected it: it runs, or has ended since. */
  private knowsStart(event: EngineEvent): boolean {
    const id = event.Actor.ID;
    const ended = this.parts.store.containers.get(id)?.finishedAt;
    return this.stateOf(id) === 'running' || (ended?.greaterThan(nanosFromNumber(event.timeNano)) ?? false);
  }

  private isKnown(id: string): boolean {
    return this.stateOf(id) !== undefined;
  }

  private stateOf(id: string): EngineState | undefined {
    const { sandboxes, containers } = this.parts.store;
    return sandboxes.get(id)?.state ?? containers.get(id)?.state;
  }
}
