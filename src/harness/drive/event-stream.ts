import { waitAtMost } from '../../lib/async/deadline';
import type { JsonObject } from '../../proto/fields';
import { asText } from '../json';
import type { Bindings } from './bindings';
import type { Driven, Endpoint } from './endpoint';
import { EVENTS } from '../methods';
import type { RecordedCall } from './recorded';

/** The longest time to wait for a stream to open. It is short, because some runtimes open a stream only when they send its first message. */
const OPEN_MS = 1_000;

/** Collects the container events of an endpoint, from the opening of the stream until as many have arrived as were recorded. */
export class EventStream {
  /** Resolves when the stream is open, or after OPEN_MS. */
  readonly opened: Promise<void>;
  readonly #ids: string[] = [];
  readonly #driven: Promise<Driven>;
  readonly #cancel = new AbortController();
  #isEnded = false;
  #onMessage: () => void = () => undefined;

  constructor(
    endpoint: Endpoint,
    private readonly bindings: Bindings,
    private readonly signal: AbortSignal,
  ) {
    const stop = (): void => this.#cancel.abort();
    signal.addEventListener('abort', stop, { once: true });
    let onOpen!: () => void;
    const open = new Promise<void>((resolve) => (onOpen = resolve));
    const onMessage = ({ container_id }: JsonObject): void => {
      this.#ids.push(asText(container_id));
      this.#onMessage();
    };
    this.#driven = endpoint
      .call(EVENTS, {}, { signal: this.#cancel.signal, onOpen, onMessage })
      .finally(() => {
        signal.removeEventListener('abort', stop);
        this.#isEnded = true;
        onOpen();
        this.#onMessage();
      });
    this.opened = waitAtMost('the opening of a stream', OPEN_MS, open).catch(() => undefined);
  }

  /**
   * Waits for at most `waitMs`, and then ends the stream. If the runtime ended the recorded stream, waits for the endpoint to end this one.
   * Otherwise waits until as many events of the replayed pods and containers have arrived as were recorded. The returned status is then
   * the recorded one, unless the endpoint has ended the stream.
   */
  async end(call: RecordedCall, waitMs: number): Promise<Driven> {
    const wanted = (call.messages ?? []).filter(
      ({ container_id }) => this.bindings.live(asText(container_id)) !== undefined,
    ).length;
    const isByClient = call.by === 'client' || call.by === 'proxy' || call.status === 'open';
    const isEnough = (): boolean =>
      this.#isEnded ||
      (isByClient && this.#ids.filter((id) => this.bindings.recorded(id) !== undefined).length >= wanted);
    const enough = new Promise<void>((resolve) => {
      this.#onMessage = () => {
        if (isEnough()) resolve();
      };
      this.#onMessage();
    });
    await waitAtMost('as many events', waitMs, enough, this.signal).catch(() => undefined);
    const isCancelled = !this.#isEnded;
    // Events that arrive after the decision to end the stream are not counted.
    const seen = this.#ids.length;
    this.#cancel.abort();
    const driven = await this.#driven;
    if (!isCancelled || !isByClient) return driven;
    const { messages = [], ms } = driven;
    return { ms, messages: messages.slice(0, seen), status: call.status };
  }
}
