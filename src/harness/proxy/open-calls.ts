import type { CallTap, EndedBy } from './relay';

/** Tracks the open calls of one connection, so that `close` can wait until the end of each call has been reported. */
export class OpenCalls {
  readonly #open = new Set<CallTap>();
  readonly #done: Promise<void>;
  #onDone: () => void = () => undefined;
  #isConnected = true;
  /** The side that closed the connection, if it was not the client. */
  #droppedBy: EndedBy | undefined;

  constructor() {
    this.#done = new Promise((resolve) => (this.#onDone = resolve));
  }

  /**
   * Returns a tap that reports correctly who ended a call. If the proxy closed the connection, the stream looks as if the client had
   * ended it.
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

  /** To be called before the proxy closes the connection. @param by the side that causes this. */
  dropped(by: EndedBy): void {
    this.#droppedBy ??= by;
  }

  /** To be called when the connection is closed, so that no further call can arrive. */
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
