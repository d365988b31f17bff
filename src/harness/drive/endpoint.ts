import { invalidArgument, messageOf } from '../../lib/errors';
import { toJson, type Json, type JsonObject } from '../../proto/fields';
import { fromJson } from '../../proto/json-to-message';
import { CriClient, type BytesAnswer } from '../../server/client/cri-client';
import { methodOf, pathOfMethod, type Method } from '../methods';
import { CODES } from '../proxy/status';

export interface CallOptions {
  /** Undefined for no deadline. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with each message of a stream when it arrives. */
  readonly onMessage?: ((message: JsonObject) => void) | undefined;
  /** Called when the endpoint begins its answer. Some runtimes begin a stream only when they send its first message. */
  readonly onOpen?: (() => void) | undefined;
}

/** The result of a call. */
export interface Driven {
  readonly ms: number;
  /** The name of the gRPC code. */
  readonly status: string;
  readonly details?: string;
  readonly response?: JsonObject;
  readonly messages?: readonly JsonObject[];
}

/** Makes CRI calls to a runtime that listens on a unix socket, with requests and answers in proto3 JSON. */
export class Endpoint {
  readonly #client: CriClient;

  constructor(readonly address: string) {
    this.#client = new CriClient(address);
  }

  /**
   * Makes a call. An error of the endpoint is returned as a status. If no runtime listens on the socket, the status is UNAVAILABLE.
   * @param request proto3 JSON, as `toJson` returns it.
   * @throws INVALID_ARGUMENT if the request does not fit the method's message, or if CRI has no such method.
   */
  async call(name: string, request: Json, options: CallOptions = {}): Promise<Driven> {
    const { deadlineMs, signal, onOpen, onMessage } = options;
    const path = pathOfMethod(name);
    const method = path === undefined ? undefined : methodOf(path);
    if (path === undefined || method?.request === undefined || method.response === undefined)
      throw invalidArgument(name, 'is not a CRI method');
    const { response: type } = method;
    const bytes = fromJson(method.request, request);
    const began = performance.now();
    const tell = onMessage === undefined ? undefined : (message: Buffer) => onMessage(read(type, message));
    const call = { path, request: bytes, deadlineMs, signal, onOpen, onMessage: tell };
    const answer = await this.#client.bytes(call);
    return { ms: round(performance.now() - began), ...drivenOf(method, type, answer) };
  }

  /** Returns the name and version of the runtime. @throws the endpoint's error, such as UNAVAILABLE. */
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

/** Decodes a message. An unreadable message is returned in the form in which tapes contain it. */
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
