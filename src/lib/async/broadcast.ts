import { RuntimeError } from '../errors';
import { abortable } from './abortable';

const TOO_SLOW = 'this reader did not keep up and has missed events: subscribe again, then list';

interface Link<T> {
  readonly number: number;
  readonly value: T;
  next: Link<T> | undefined;
}

/** A link of the chain. A reader that has not read anything yet holds a link without a value. */
type Place<T> = Link<T> | (Omit<Link<T>, 'value'> & { readonly value?: never });

/**
 * One writer and many readers. Each reader gets every value that is published after its subscription, at its own pace. The
 * values form a chain to which only readers refer, so its length is the backlog of the slowest reader. A reader with a backlog
 * of more than `limit` values is cut off, and its next read fails.
 */
export class Broadcast<T> {
  private last: Place<T> = { number: 0, next: undefined };
  private readonly readers = new Set<BroadcastReader<T>>();

  constructor(
    private readonly limit: number,
    private readonly onCutOff: () => void = () => undefined,
  ) {}

  get readerCount(): number {
    return this.readers.size;
  }

  /** The number of values that the slowest reader has not read yet. */
  get backlog(): number {
    return Math.max(0, ...[...this.readers].map((reader) => this.last.number - reader.position));
  }

  /** Publishes a value. Returns immediately, without waiting for readers. */
  publish(value: T): void {
    const link: Link<T> = { number: this.last.number + 1, value, next: undefined };
    this.last.next = link;
    this.last = link;
    for (const reader of this.readers) {
      if (link.number - reader.position <= this.limit) reader.wake();
      else {
        this.readers.delete(reader);
        reader.cutOff();
        this.onCutOff();
      }
    }
  }

  /** @returns a reader of everything that is published from now on; the caller closes it. */
  subscribe(): BroadcastReader<T> {
    const reader = new BroadcastReader(this.last, (self) => this.readers.delete(self));
    this.readers.add(reader);
    return reader;
  }
}

export class BroadcastReader<T> {
  private waiting: (() => void) | undefined;
  /** The last link that was read; undefined when the reader was cut off or closed. */
  private at: Place<T> | undefined;

  constructor(
    from: Place<T>,
    private readonly onClose: (self: BroadcastReader<T>) => void,
  ) {
    this.at = from;
  }

  get position(): number {
    return this.at?.number ?? Infinity;
  }

  /**
   * Resolves with the next value as soon as there is one. Only one call may be pending.
   * @throws RESOURCE_EXHAUSTED when this reader was too slow; the signal's reason when the signal fires.
   */
  async next(signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      if (this.at === undefined) throw new RuntimeError('RESOURCE_EXHAUSTED', TOO_SLOW);
      const { next } = this.at;
      if (next !== undefined) {
        this.at = next;
        return next.value;
      }
      await abortable(new Promise<void>((resolve) => (this.waiting = resolve)), signal);
    }
  }

  wake(): void {
    this.waiting?.();
    this.waiting = undefined;
  }

  cutOff(): void {
    this.at = undefined;
    this.wake();
  }

  close(): void {
    this.at = undefined;
    this.onClose(this);
  }
}
