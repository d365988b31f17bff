import Long from 'long';
import { withDeadline } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { NameReservations } from '../store/name-reservations';
import type { ContainerRecord, EngineState, SandboxRecord } from '../store/records';
import { hasEnded, isPaused, isRunning } from '../store/states';
import type { Store } from '../store/store';
import type { EngineEvent } from '../engine/types';
import { toEngineState } from '../translate/shared/engine-facts';
import { CONTAINER_TYPE, SANDBOX_TYPE, TYPE_LABEL } from '../translate/shared/labels';
import { nanosFromNumber } from '../translate/shared/time';
import type { ContainerLife, Held } from './life';

/**
 * The limit of an inspect. It is short because the container's next events wait for it. A healthy Engine inspects in
 * milliseconds.
 */
const INSPECT_MS = 10_000;
/**
 * The limit of an inspect after a death. It is even shorter, because dockbridge also waits for the container's log then.
 */
const ENDED_INSPECT_MS = 2_000;

type AnyRecord = SandboxRecord | ContainerRecord;

export interface ContainerEventsParts {
  readonly life: ContainerLife;
  readonly store: Store;
  readonly reservations: NameReservations;
  readonly logger: Logger;
  /**
   * Called with the id of a container whose event could not be applied. The container must then be inspected until an
   * inspect succeeds.
   */
  readonly onDoubt: (id: string) => void;
  /** Called with the seconds between an event's timestamp and its effect on the store, for metrics. */
  readonly onApplied?: (lagSeconds: number) => void;
}

/**
 * Applies Engine events to records. A container's death needs an inspect, because the event's timestamp is later than the
 * death. When a handler caused the event, the record is already up to date and nothing changes.
 */
export class ContainerEvents {
  constructor(private readonly parts: ContainerEventsParts) {}

  /**
   * Accepts an event and returns at once. The event is applied after all work on its container that has already begun.
   */
  handle(event: EngineEvent): void {
    const { Attributes: attributes } = event.Actor;
    if (![SANDBOX_TYPE, CONTAINER_TYPE].includes(attributes[TYPE_LABEL] ?? '')) return;
    const { reservations, store } = this.parts;
    const { name = '' } = attributes;
    store.listed.distrust(event.Actor.ID);
    const isBirth = event.Action === 'create' || event.Action === 'start';
    // The handler that creates a container also inspects it after the start, so a create or start event waits for that
    // handler. Such an event may also concern a container of an earlier call, which the handler does not know. The event of
    // a death does not wait, because the handler does not look for deaths.
    if (isBirth && reservations.isHeld(name)) void reservations.whenFree(name).then(() => this.queue(event));
    else this.queue(event);
  }

  private queue(event: EngineEvent): void {
    const { ID: id } = event.Actor;
    this.parts.life
      .withContainer(id, undefined, async (held) => {
        await this.apply(event, held);
        this.parts.onApplied?.((Date.now() - event.timeNano / 1e6) / 1000);
      })
      .catch((error: unknown) => {
        this.parts.onDoubt(id);
        this.parts.logger.warn('Cannot apply an event of Docker Engine', {
          container: id,
          event: event.Action,
          error: messageOf(error),
        });
      });
  }

  private async apply(event: EngineEvent, held: Held): Promise<void> {
    switch (event.Action) {
      case 'create':
        if (recordOf(held) === undefined) await refresh(held);
        return;
      case 'start':
        if (!knowsStart(held, event)) await refresh(held);
        return;
      case 'die':
        return this.died(event, held);
      case 'oom':
        if (held.container !== undefined) held.put({ ...held.container, oomKilled: true });
        return;
      case 'pause':
        change(held, isRunning, 'paused');
        return;
      case 'unpause':
        change(held, isPaused, 'running');
        return;
      case 'destroy':
        return held.forget();
      default:
        // Renames and updates are rare, so an inspect for each of them is cheap enough.
        await refresh(held);
    }
  }

  private async died(event: EngineEvent, held: Held): Promise<void> {
    const { sandbox, container } = held;
    if (sandbox !== undefined) {
      if (!hasEnded(sandbox)) held.put({ ...sandbox, state: 'exited', pid: 0 });
      return;
    }
    if (container === undefined) return refresh(held);
    // The inspect after the start of a short-lived container has already recorded its end.
    if (hasEnded(container)) return;
    const exitCode = Number(event.Actor.Attributes.exitCode);
    // For a container that is known only from a list, neither the start nor the log is known, so the event alone does not
    // suffice.
    const isListedOnly = container.pid === 0;
    if (isListedOnly || container.startedAt.isZero() || !Number.isInteger(exitCode)) return refresh(held);
    if (await this.inspectEnded(held)) return;
    // The Engine does not answer, for instance because it ends together with its containers. Only the event's values are
    // available.
    const finishedAt = nanosFromNumber(event.timeNano);
    await held.settleRecord({
      ...container,
      state: 'exited',
      pid: 0,
      exitCode,
      // The clock may have been set back since the start.
      finishedAt: finishedAt.greaterThan(container.startedAt)
        ? finishedAt
        : container.startedAt.add(Long.ONE),
    });
  }

  /**
   * Inspects an ended container, so that the status that kubelet sees first equals the one that a later inspect would
   * show.
   * @returns false when the Engine does not answer or does not report that the container has ended.
   */
  private async inspectEnded(held: Held): Promise<boolean> {
    try {
      const inspect = await withDeadline('inspect', ENDED_INSPECT_MS, undefined, (signal) =>
        held.inspect(signal),
      );
      if (!hasEnded({ state: toEngineState(inspect.State.Status) })) return false;
      await held.settle(inspect);
      return true;
    } catch (error) {
      this.parts.logger.debug(
        () => 'Cannot inspect a container that has ended',
        () => ({ container: held.id, error: messageOf(error) }),
      );
      return false;
    }
  }
}

async function refresh(held: Held): Promise<void> {
  await withDeadline('Inspecting a container', INSPECT_MS, undefined, (limit) => held.refresh(limit));
}

function change(held: Held, isFrom: (record: AnyRecord) => boolean, to: EngineState): void {
  const record = recordOf(held);
  if (record !== undefined && isFrom(record)) held.put({ ...record, state: to });
}

/**
 * Whether the event concerns a start that a handler made. The handler has inspected the container, so its record already
 * says that it is running or has ended.
 */
function knowsStart(held: Held, event: EngineEvent): boolean {
  const record = recordOf(held);
  const ended = held.container?.finishedAt;
  return (
    (record !== undefined && isRunning(record)) ||
    (ended?.greaterThan(nanosFromNumber(event.timeNano)) ?? false)
  );
}

function recordOf({ sandbox, container }: Held): AnyRecord | undefined {
  return sandbox ?? container;
}
