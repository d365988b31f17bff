import { CONTENT_WRITE, type content } from '../../../proto/containerd';

/** The tag of the field `data` (number 6, length-delimited). */
const DATA_TAG = (6 << 3) | 2;

/**
 * Encodes a request of an upload. protobufjs would copy the data once more, because it writes to a buffer of its own, and the caller
 * would have to join the chunks first. Fields may have any order on the wire.
 * @param chunks the value of `data`.
 */
export function encodeWrite(request: content.IWriteContentRequest, chunks: readonly Uint8Array[]): Buffer {
  const head = CONTENT_WRITE.request.encode(request).finish();
  const size = chunks.reduce((sum, { length }) => sum + length, 0);
  return size === 0
    ? Buffer.from(head)
    : Buffer.concat([head, Uint8Array.from([DATA_TAG, ...varint(size)]), ...chunks]);
}

/** Seven bits in each byte, least significant first. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}
