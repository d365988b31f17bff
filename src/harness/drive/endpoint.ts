import { invalidArgument, messageOf } from '../../lib/errors';
import { toJson, type Json, type JsonObject } from '../../proto/fields';
import { fromJson } from '../../proto/json-to-message';
import { CriClient, type BytesAnswer } from '../../server/client/cri-client';
import { methodOf, pathOfMethod, type Method } from '../methods';
import { CODES } from '../proxy/status';

export interface CallOptions {
  /** undefined for none. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with each message of a stream as it comes. */
  readonly onMessage?: ((message: JsonObject) => void) | undefined;
  /** Called when the endpoint has begun its answer; some begin a stream only with its first message. */
  readonly onOpen?: (() => void) | undefined;
}

/** What a call came to. */
export interface Driven {
  readonly ms: number;
  /** A name of gRPC's codes. */
  readonly status: string;
  readonly details?: string;
  readonly response?: JsonObject;
  readonly messages?: readonly JsonObject[];
}

/** Any runtime that listens on a unix socket, driven with JSON. */
export class Endpoint {
  readonly #client: CriClient;

  constructor(readonly address: string) {
    this.#client = new CriClient(address);
  }

  /**
   * Makes a call. The endpoint's refusal is an answer; one that is not there answers UNAVAILABLE.
   * @param request proto3 JSON, as `toJson` makes it.
   * @throws INVALID_ARGUMENT when the request is no such message, or CRI has no such method.
   */
  async call(name: string, request: Json, options: CallOptions = {}): Promise<Driven> {
    const { deadlineMs, signal, onOpen, onMessage } = options;
    const path = pathOfMethod(name);
    const method = path === undefined ? undefined : methodOf(path);
    if (path === undefined || method?.request === undefined || method.response === undefined)
      throw invalidArgument(name, 'is no method of CRI');
    const { response: type } = method;
    const bytes = fromJson(method.request, request);
    const began = performance.now();
    const tell = onMessage === undefined ? undefined : (message: Buffer) => onMessage(read(type, message));
    const call = { path, request: bytes, deadlineMs, signal, onOpen, onMessage: tell };
    const answer = await this.#client.bytes(call);
    return { ms: round(performance.now() - began), ...drivenOf(method, type, answer) };
  }

  /** @throws UNAVAILABLE … as the endpoint says it, when it does not tell. */
  async version(deadlineMs: number): Promise<{ readonly name: string; readonly version: string }> {
    const { runtime_name, runtime_version } = await this.#client.call('Version', {}, deadlineMs);
    return { name: runtime_name, version: runtime_version };
  }

  close(): void {
    this.#client.close();
  }
}

function drivenOf(
  method: Method,
  type: string,
  { messages, code, details }: BytesAnswer,
): Omit<Driven, 'ms'> {
  const status = CODES[code] ?? `CODE_${code}`;
  const told = status === 'OK' || details === '' ? {} : { details };
  if (method.streams) return { status, ...told, messages: messages.map((message) => read(type, message)) };
  const [message] = messages;
  return { status, ...told, ...(message === undefined ? {} : { response: read(type, message) }) };
}

/** As a tape has a message that cannot be read. */
function read(type: string, message: Buffer): JsonObject {
  try {
    return toJson(type, message);
  } catch (error) {
    return { '@unread': messageOf(error), length: message.length };
  }
}

function round(ms: number): number {
  return Number(ms.toFixed(3));
}
