import {
  Client,
  credentials,
  Metadata,
  status,
  type ClientDuplexStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { messageOf, RuntimeError, type ErrorCode } from '../../../lib/errors';
import type { Decoded } from '../../../proto';
import {
  CONTAINERD_CALLS,
  CONTENT_READ,
  CONTENT_WRITE,
  type ContainerdMethod,
  type content,
} from '../../../proto/containerd';

type Calls = typeof CONTAINERD_CALLS;
type RequestOf<Name extends keyof Calls> =
  Calls[Name] extends ContainerdMethod<infer Request, unknown> ? Request : never;
type ResponseOf<Name extends keyof Calls> =
  Calls[Name] extends ContainerdMethod<never, infer Response> ? Decoded<Response> : never;

/** Where a call has its effect. containerd keeps images and content per namespace, and a lease holds what the call creates. */
export interface Place {
  readonly namespace: string;
  readonly lease?: string | undefined;
}

/** The stream of an upload. Its requests are encoded by the caller (write-request.ts). */
export type WriteStream = ClientDuplexStream<Buffer, content.WriteContentResponse>;

const DEADLINE_MS = 30_000;
/** The limit that containerd's own client uses. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** A client of containerd's gRPC API at `unix:///path`. Every rejection is a RuntimeError with the status of the answer. */
export class ContainerdConnection {
  private readonly client: Client;

  constructor(readonly endpoint: string) {
    this.client = new Client(endpoint.replace(/^unix:\/\//, 'unix:'), credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    });
  }

  call<Name extends keyof Calls>(
    name: Name,
    request: RequestOf<Name>,
    place: Place,
    deadlineMs = DEADLINE_MS,
  ): Promise<ResponseOf<Name>> {
    const method: ContainerdMethod<never, unknown> = CONTAINERD_CALLS[name];
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        method.path,
        (message: unknown) => encoded(method, message),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        metadataOf(place),
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, response?: unknown) => {
          if (error === null) resolve(response as ResponseOf<Name>);
          else reject(failure(error));
        },
      );
    });
  }

  /** Yields the bytes of a blob from `offset` to its end. */
  async *read(digest: string, offset: number, { namespace }: Place): AsyncGenerator<Uint8Array> {
    const stream = this.client.makeServerStreamRequest(
      CONTENT_READ.path,
      (message: content.IReadContentRequest) => encoded(CONTENT_READ, message),
      (bytes: Buffer) => CONTENT_READ.response.decode(bytes) as content.ReadContentResponse,
      { digest, offset },
      metadataOf({ namespace }),
    );
    try {
      for await (const { data } of stream as AsyncIterable<content.ReadContentResponse>) yield data;
    } catch (error) {
      throw failure(error);
    } finally {
      stream.cancel();
    }
  }

  /** Opens an upload. The caller converts the errors of the stream with `failure`. */
  write(place: Place): WriteStream {
    return this.client.makeBidiStreamRequest(
      CONTENT_WRITE.path,
      (message: Buffer) => message,
      (bytes: Buffer) => CONTENT_WRITE.response.decode(bytes) as content.WriteContentResponse,
      metadataOf(place),
    );
  }

  close(): void {
    this.client.close();
  }
}

function encoded<Request>(method: ContainerdMethod<Request, unknown>, message: unknown): Buffer {
  // In Node.js, protobufjs's writer makes Buffers.
  return method.request.encode(message as Request).finish() as Buffer;
}

function metadataOf({ namespace, lease }: Place): Metadata {
  const metadata = new Metadata();
  metadata.set('containerd-namespace', namespace);
  if (lease !== undefined) metadata.set('containerd-lease', lease);
  return metadata;
}

/** Converts an error of grpc-js to a RuntimeError with the same status. */
export function failure(error: unknown): RuntimeError {
  if (error instanceof RuntimeError) return error;
  const { code, details } = error as Partial<ServiceError>;
  if (typeof code !== 'number') return new RuntimeError('INTERNAL', messageOf(error), { cause: error });
  const name = status[code] as ErrorCode | undefined;
  return new RuntimeError(name ?? 'UNKNOWN', `containerd: ${details ?? messageOf(error)}`, { cause: error });
}
