import { Writer } from 'protobufjs/minimal';
import type { Encoded } from './service';

/** The codec of a list's elements, which can write into a given writer. */
export interface ElementCodec<Element> {
  encode(element: Element, writer: Writer): Writer;
}

/** Tag of field 1 with wire type 2: the list in each of CRI's Stream…Response messages. */
const LIST_FIELD = (1 << 3) | 2;
/** Far below a gRPC message's 16 MiB, and large enough for a thousand containers in a few messages. */
const CHUNK_BYTES = 256 * 1024;

/**
 * A list as the encoded messages of a stream, each of about `chunkBytes` and one element at least. Elements are made
 * and encoded as messages are asked for: a slow reader costs one chunk, however long the list.
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
