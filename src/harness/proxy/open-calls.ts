import type { CallTap, EndedBy } from './relay';

/** Counts the calls of one connection, so that whoever closes it can wait until the end of each of them was reported. */
export class OpenCalls {
  readonly #open = new Set<CallTap>();
  readonly #done: Promise<void>;
  #onDone: () => void = () => undefined;
  #isConnected = true;
  /** Who closed the connection without the client's doing. */
  #droppedBy: EndedBy | undefined;

  constructor() {
    this.#done = new Promise((resolve) => (this.#onDone = resolve));
  }

  /**
   * The same tap, but a call that ends because we closed its connection is not reported as ended by the client, although its
   * stream looks so.
   */
  followed(tap: CallTap): CallTap {
    this.#open.add(tap);
    return {
      n: tap.n,
      requestBytes: (chunk) => tap.requestBytes(chunk),
      requestPassed: () => tap.requestPassed(),
      responseHeaders: (raw) => tap.responseHeaders(raw),
      responseBytes: (chunk) => tap.responseBytes(chunk),
      answered: (trailers) => tap.answered(trailers),
      closed: (end) => {
        const by = end.by === 'client' ? this.#droppedBy : undefined;
        tap.closed(by === undefined ? end : { by, reset: undefined });
        this.#open.delete(tap);
        this.#check();
      },
    };
  }

  /** The connection is about to be closed by us. */
  dropped(by: EndedBy): void {
    this.#droppedBy ??= by;
  }

  /** The connection is closed, and no further call comes. */
  disconnected(): void {
    this.#isConnected = false;
    this.#check();
  }

  /** Resolves when the connection is closed and all its calls have ended. */
  async done(): Promise<void> {
    return this.#done;
  }

  #check(): void {
    if (!this.#isConnected && this.#open.size === 0) this.#onDone();
  }
}
