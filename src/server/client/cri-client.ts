import { Client, credentials, Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import type { Decoded } from '../../proto';
import { IMAGE_SERVICE, RUNTIME_SERVICE, type ImageMethods, type RuntimeMethods } from '../../proto/service';

type Methods = RuntimeMethods & ImageMethods;
/** A request as a caller builds it. Every field may be missing. */
type Input<Name extends keyof Methods> =
  Methods[Name]['request'] extends Decoded<infer Message> ? Message : never;
type Output<Name extends keyof Methods> = Decoded<Methods[Name]['response']>;
type StreamName = {
  [Name in keyof Methods]: Methods[Name]['streams'] extends true ? Name : never;
}[keyof Methods];
type UnaryName = Exclude<keyof Methods, StreamName>;

/** The parts of a method that grpc-js needs, for any messages. */
interface AnyMethod {
  readonly path: string;
  readonly requestSerialize: (message: unknown) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

const METHODS = { ...RUNTIME_SERVICE, ...IMAGE_SERVICE } as unknown as Readonly<Record<string, AnyMethod>>;

/** A streaming call in progress. */
export interface OpenStream<Message> {
  /** Resolves when the server has started the stream. Rejects if the server refuses. */
  readonly connected: Promise<void>;
  /** Ends with the call. Throws grpc-js's ServiceError if the call fails. */
  readonly messages: AsyncIterable<Message>;
  readonly cancel: () => void;
}

const DEFAULT_DEADLINE_MS = 120_000;
/** The limit that kubelet also uses. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface BytesCall {
  /** The method's path, such as `/runtime.v1.RuntimeService/Version`. */
  readonly path: string;
  readonly request: Buffer;
  /** The deadline in ms from now; undefined for no deadline. */
  readonly deadlineMs?: number | undefined;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the server has begun its answer. */
  readonly onOpen?: (() => void) | undefined;
  /** Called with each message when it arrives. */
  readonly onMessage?: ((message: Buffer) => void) | undefined;
}

/** The answer to a call of bytes. It includes messages that arrived before an error. */
export interface BytesAnswer {
  readonly messages: readonly Buffer[];
  /** gRPC's status code as a number. */
  readonly code: number;
  readonly details: string;
}

const same = (bytes: Buffer): Buffer => bytes;

/** A CRI client for `unix:///path`. `call` and `stream` exchange decoded messages; `bytes` exchanges encoded ones. */
export class CriClient {
  private readonly client: Client;

  constructor(endpoint: string) {
    const target = endpoint.replace(/^unix:\/\//, 'unix:');
    const options = { 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES };
    this.client = new Client(target, credentials.createInsecure(), options);
  }

  /**
   * Makes a unary call.
   * @throws ServiceError of grpc-js, with `code` and `details`.
   */
  call<Name extends UnaryName>(
    method: Name,
    request: Input<Name>,
    deadlineMs = DEFAULT_DEADLINE_MS,
  ): Promise<Output<Name>> {
    const { path, requestSerialize, responseDeserialize } = methodOf(method);
    const options = { deadline: Date.now() + deadlineMs };
    return new Promise((resolve, reject) => {
      const settle = (error: ServiceError | null, response?: unknown): void => {
        if (error === null) resolve(response as Output<Name>);
        else reject(error);
      };
      this.client.makeUnaryRequest(
        ...([path, requestSerialize, responseDeserialize, request, new Metadata(), options, settle] as const),
      );
    });
  }

  /** Opens a stream. It has no deadline and lasts until the server ends it or `cancel` is called. */
  stream<Name extends StreamName>(method: Name, request: Input<Name>): OpenStream<Output<Name>> {
    const { path, requestSerialize, responseDeserialize } = methodOf(method);
    const messages: ClientReadableStream<unknown> = this.client.makeServerStreamRequest(
      ...([path, requestSerialize, responseDeserialize, request, new Metadata(), {}] as const),
    );
    const connected = new Promise<void>((resolve, reject) => {
      messages.once('metadata', () => resolve());
      messages.once('error', reject);
    });
    connected.catch(() => undefined);
    return {
      connected,
      messages: messages as AsyncIterable<Output<Name>>,
      cancel: () => messages.cancel(),
    };
  }

  /**
   * Makes a call, either unary or with a stream of answers, and collects all its messages. Never rejects: if nothing
   * listens at the endpoint, the code is UNAVAILABLE.
   */
  bytes({ path, request, deadlineMs, signal, onOpen, onMessage }: BytesCall): Promise<BytesAnswer> {
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
    const messages: Buffer[] = [];
    return new Promise((resolve) => {
      // For gRPC, a unary answer is a stream of one message.
      const call = this.client.makeServerStreamRequest(
        ...([path, same, same, request, new Metadata(), options] as const),
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted === true) cancel();
      const end = ({ code, details }: { readonly code: number; readonly details: string }): void => {
        signal?.removeEventListener('abort', cancel);
        resolve({ messages, code, details });
      };
      call.on('data', (message: Buffer) => {
        messages.push(message);
        onMessage?.(message);
      });
      if (onOpen !== undefined) call.once('metadata', onOpen);
      // The status, which follows each error, resolves the promise.
      call.on('error', () => undefined);
      call.on('status', end);
    });
  }

  close(): void {
    this.client.close();
  }
}

function methodOf(name: keyof Methods): AnyMethod {
  const method = METHODS[name];
  if (method === undefined) throw new Error(`CRI has no method ${name}`);
  return method;
}
