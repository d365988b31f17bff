import Long from 'long';
import { Broadcast, type BroadcastReader } from '../../lib/async/broadcast';
import type { ContainerRecord, SandboxRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { lifecycleEvents, type PodEvent, removedSandbox } from '../../translate/shared/lifecycle';

/**
 * How many events a consumer may be behind. Events share their records with the store and each other, so this number of
 * events needs only a few MB. It covers the start or end of about three hundred pods.
 */
const MOST_BEHIND = 4_096;

/** Numbers that the metrics report. */
export interface PodEventStats {
  readonly published: number;
  readonly consumers: number;
  /** How many consumers were cut off since the start because they were too slow. */
  readonly cutOff: number;
  /** How many events the slowest consumer has not read yet. */
  readonly backlog: number;
}

/**
 * The store's changes as CRI events, for any number of consumers. Nothing is polled, and no event is built while there is
 * no subscriber.
 */
export class PodEvents {
  private readonly clock = new RisingClock();
  private readonly broadcast: Broadcast<PodEvent>;
  private published = 0;
  private cutOff = 0;

  constructor(
    private readonly store: Store,
    mostBehind = MOST_BEHIND,
  ) {
    this.broadcast = new Broadcast(mostBehind, () => this.cutOff++);
    store.sandboxes.subscribe((now, before) => this.onChange(now, before));
    store.containers.subscribe((now, before) => this.onChange(now, before));
  }

  /**
   * Subscribes to all events from now on. Events of one container arrive in order. The caller closes the subscription.
   */
  subscribe(): BroadcastReader<PodEvent> {
    return this.broadcast.subscribe();
  }

  get stats(): PodEventStats {
    const { readerCount: consumers, backlog } = this.broadcast;
    return { published: this.published, consumers, cutOff: this.cutOff, backlog };
  }

  private onChange(now: SandboxRecord | ContainerRecord | undefined, before: typeof now): void {
    const record = now ?? before;
    if (record === undefined || this.broadcast.readerCount === 0) return;
    for (const type of lifecycleEvents(now, before)) {
      this.published++;
      this.broadcast.publish({
        containerId: record.id,
        type,
        at: Long.fromBigInt(this.clock.now()),
        ...this.podOf(record, now),
      });
    }
  }

  private podOf(
    record: SandboxRecord | ContainerRecord,
    now: typeof record | undefined,
  ): Pick<PodEvent, 'sandbox' | 'containers'> {
    const { sandboxes, containers } = this.store;
    const sandboxId = record.kind === 'sandbox' ? record.id : record.sandboxId;
    const isGone = record.kind === 'sandbox' && now === undefined;
    return {
      sandbox: isGone ? removedSandbox(record) : sandboxes.get(sandboxId),
      containers: containers.ofSandbox(sandboxId),
    };
  }
}

/**
 * A clock in nanoseconds since the epoch. Each reading is later than the previous one, even when the system clock is set
 * back.
 */
export class RisingClock {
  private last = 0n;

  constructor(private readonly nowMs: () => number = Date.now) {}

  now(): bigint {
    const now = BigInt(this.nowMs()) * 1_000_000n;
    this.last = now > this.last ? now : this.last + 1n;
    return this.last;
  }
}
