import { Writer } from 'protobufjs/minimal';
import { messageOf } from '../lib/errors';
import type { Decoded } from './index';
import {
  IMAGE_CODECS,
  RUNTIME_CODECS,
  type Codec,
  type ImageMethods,
  type MethodCodecs,
  type RuntimeMethods,
} from './methods';

export type { ImageMethods, RuntimeMethods } from './methods';

/**
 * Stands in for a request that could not be decoded. If the deserializer threw, grpc-js would answer INTERNAL. The call wrapper
 * answers INVALID_ARGUMENT with `why` instead.
 */
export class MalformedMessage {
  constructor(readonly why: string) {}
}

/** A response that is encoded already, such as one message of a streamed list. It is sent unchanged. */
export type Encoded = Uint8Array;

/** Equals grpc-js's `MethodDefinition`. It is declared here because `proto` does not import grpc-js. */
export interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  readonly requestSerialize: (message: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Decoded<Request> | MalformedMessage;
  readonly responseSerialize: (message: Response | Encoded) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Decoded<Response>;
}

type Table = Readonly<Record<string, MethodCodecs<unknown, unknown, boolean>>>;

/** The type that `grpc.Server.addService` and `grpc.makeClientConstructor` accept. */
export type Service<Codecs> = {
  readonly [Name in keyof Codecs]: Codecs[Name] extends MethodCodecs<infer Request, infer Response, boolean>
    ? MethodDefinition<Request, Response>
    : never;
};

/** Returns the same bytes as a Buffer, without copying them. grpc-js calls `.copy`, which a plain Uint8Array does not have. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encode<Message>(codec: Codec<Message>, message: Message): Buffer {
  return asBuffer(codec.encode(message).finish());
}

/**
 * Decodes a message.
 * @throws protobufjs's Error when the bytes are not such a message.
 */
function decode<Message>(codec: Codec<Message>, bytes: Uint8Array): Decoded<Message> {
  return codec.decode(bytes) as Decoded<Message>;
}

function defineMethod<Request, Response>(
  path: string,
  { request, response, streams }: MethodCodecs<Request, Response, boolean>,
): MethodDefinition<Request, Response> {
  return {
    path,
    requestStream: false,
    responseStream: streams,
    requestSerialize: (message) => encode(request, message),
    requestDeserialize(bytes) {
      try {
        return decode(request, bytes);
      } catch (error) {
        return new MalformedMessage(`${path}: malformed request: ${messageOf(error)}`);
      }
    },
    responseSerialize: (message) =>
      message instanceof Uint8Array ? asBuffer(message) : encode(response, message),
    responseDeserialize: (bytes) => decode(response, bytes),
  };
}

function defineService<Codecs extends Table>(service: string, codecs: Codecs): Service<Codecs> {
  const methods = Object.entries(codecs).map(([name, codec]) => [
    name,
    defineMethod(`/${service}/${name}`, codec),
  ]);
  return Object.fromEntries(methods) as Service<Codecs>;
}

function pick<T extends object, Name extends keyof T>(from: T, names: readonly Name[]): Pick<T, Name> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Pick<T, Name>;
}

/** The methods that kubelet and crictl up to 1.25 call. Each of their messages is a subset of v1's message. */
const ALPHA_RUNTIME_METHODS = [
  'Version',
  'RunPodSandbox',
  'StopPodSandbox',
  'RemovePodSandbox',
  'PodSandboxStatus',
  'ListPodSandbox',
  'CreateContainer',
  'StartContainer',
  'StopContainer',
  'RemoveContainer',
  'ListContainers',
  'ContainerStatus',
  'UpdateContainerResources',
  'ReopenContainerLog',
  'ExecSync',
  'Exec',
  'Attach',
  'PortForward',
  'ContainerStats',
  'ListContainerStats',
  'PodSandboxStats',
  'ListPodSandboxStats',
  'UpdateRuntimeConfig',
  'Status',
] as const satisfies readonly (keyof RuntimeMethods)[];

const ALPHA_IMAGE_METHODS = [
  'ListImages',
  'ImageStatus',
  'PullImage',
  'RemoveImage',
  'ImageFsInfo',
] as const satisfies readonly (keyof ImageMethods)[];

export const RUNTIME_SERVICE = defineService('runtime.v1.RuntimeService', RUNTIME_CODECS);
export const IMAGE_SERVICE = defineService('runtime.v1.ImageService', IMAGE_CODECS);
export const ALPHA_RUNTIME_SERVICE = defineService(
  'runtime.v1alpha2.RuntimeService',
  pick(RUNTIME_CODECS, ALPHA_RUNTIME_METHODS),
);
export const ALPHA_IMAGE_SERVICE = defineService(
  'runtime.v1alpha2.ImageService',
  pick(IMAGE_CODECS, ALPHA_IMAGE_METHODS),
);

/** The codec of a list's elements. It can write into an existing writer. */
export interface ElementCodec<Element> {
  encode(element: Element, writer: Writer): Writer;
}

/** The tag of field 1 with wire type 2, which is the list in each of CRI's Stream…Response messages. */
const LIST_FIELD = (1 << 3) | 2;
/** The usual size of a message. It is far below gRPC's limit of 16 MiB, and a few such messages hold a thousand containers. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Encodes a list as the messages of a stream. Each message has about `chunkBytes` and at least one element. Elements are made
 * and encoded only when the next message is requested, so that a slow reader costs one message, however long the list is.
 */
export function* encodeChunks<Element>(
  codec: ElementCodec<Element>,
  elements: Iterable<Element>,
  chunkBytes = CHUNK_BYTES,
): Generator<Encoded> {
  let writer = Writer.create();
  for (const element of elements) {
    codec.encode(element, writer.uint32(LIST_FIELD).fork()).ldelim();
    if (writer.pos < chunkBytes) continue;
    yield writer.finish();
    writer = Writer.create();
  }
  if (writer.pos > 0) yield writer.finish();
}
