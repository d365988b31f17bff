import {
  credentials,
  makeClientConstructor,
  type Client,
  type ClientReadableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Decoded } from '../../proto';
import { IMAGE_SERVICE, RUNTIME_SERVICE, type ImageMethods, type RuntimeMethods } from '../../proto/service';

type Methods = RuntimeMethods & ImageMethods;
/** A request as a caller builds it; each field may be missing. */
type Input<Name extends keyof Methods> =
  Methods[Name]['request'] extends Decoded<infer Message> ? Message : never;
type Output<Name extends keyof Methods> = Decoded<Methods[Name]['response']>;
type UnaryCall = (
  request: unknown,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: unknown) => void,
) => void;

type StreamName = {
  [Name in keyof Methods]: Methods[Name]['streams'] extends true ? Name : never;
}[keyof Methods];
type UnaryName = Exclude<keyof Methods, StreamName>;
type StreamCall = (request: unknown) => ClientReadableStream<unknown>;

/** A streaming call in progress. */
export interface OpenStream<Message> {
  /** Resolves when the server has started the stream; rejects if it refuses. */
  readonly connected: Promise<void>;
  /** Ends with the call; throws grpc-js's ServiceError if the call fails. */
  readonly messages: AsyncIterable<Message>;
  readonly cancel: () => void;
}

const DEFAULT_DEADLINE_MS = 120_000;
/** kubelet's limit. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** A CRI client for `unix:///path`, for `dockbridge demo` and the tests. */
export class CriClient {
  private readonly runtime: Client;
  private readonly image: Client;

  constructor(endpoint: string) {
    const target = endpoint.replace(/^unix:\/\//, 'unix:');
    const options = { 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES };
    const insecure = credentials.createInsecure();
    this.runtime = new (makeClientConstructor(RUNTIME_SERVICE, 'RuntimeService'))(target, insecure, options);
    this.image = new (makeClientConstructor(IMAGE_SERVICE, 'ImageService'))(target, insecure, options);
  }

  /** @throws ServiceError of grpc-js, with `code` and `details`. */
  call<Name extends UnaryName>(
    method: Name,
    request: Input<Name>,
    deadlineMs = DEFAULT_DEADLINE_MS,
  ): Promise<Output<Name>> {
    const client = this.clientOf(method);
    const send = (client as unknown as Record<UnaryName, UnaryCall>)[method];
    return new Promise((resolve, reject) => {
      send.call(client, request, { deadline: Date.now() + deadlineMs }, (error, response) => {
        if (error === null) resolve(response as Output<Name>);
        else reject(error);
      });
    });
  }

  /** Has no deadline: it lasts until the server ends it or `cancel` is called. */
  stream<Name extends StreamName>(method: Name, request: Input<Name>): OpenStream<Output<Name>> {
    const client = this.clientOf(method);
    const open = (client as unknown as Record<StreamName, StreamCall>)[method];
    const messages = open.call(client, request);
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

  close(): void {
    this.runtime.close();
    this.image.close();
  }

  private clientOf(method: keyof Methods): Client {
    return method in RUNTIME_SERVICE ? this.runtime : this.image;
  }
}
