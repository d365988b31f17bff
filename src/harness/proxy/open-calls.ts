import type { CallTap, EndedBy } from './relay';

/** Counts the calls of one connection, so that who closes it can wait until each of them has told its end. */
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

  /** The same tap. What ends with a connection that we closed was not ended by the client, as it looks from its stream. */
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
