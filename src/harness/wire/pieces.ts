import type { EndedBy } from '../proxy/relay';

/** The sender of bytes. */
export type Side = 'client' | 'runtime';

/** An event on a connection between a client and the runtime. `t` is in seconds since the recording began. */
export type Piece =
  | {
      readonly kind: 'bytes';
      readonly connection: number;
      readonly t: number;
      readonly from: Side;
      /** The time from the arrival of these bytes until the kernel had accepted all of them for the other side, ms; NaN until then. */
      readonly spentMs: number;
      readonly bytes: Buffer;
    }
  | {
      readonly kind: 'closed';
      readonly connection: number;
      readonly t: number;
      readonly by: EndedBy;
    }
  /** Some bytes of this connection were dropped here, so its later bytes cannot be decoded. */
  | { readonly kind: 'torn'; readonly connection: number; readonly t: number };

/** The fields kind, connection, t, spentMs, and the length of the bytes that follow. */
const HEAD_BYTES = 1 + 4 + 8 + 8 + 4;
/** The position of a kind in this list is its number in a packed piece. */
const KINDS = [
  'bytes client',
  'bytes runtime',
  'closed client',
  'closed runtime',
  'closed proxy',
  'torn',
] as const;

/**
 * Writes pieces into one buffer that has its own memory, so that it can be transferred to another thread without a copy. A list of objects would be cloned
 * object by object, which takes longer than relaying the bytes does.
 */
export function packed(pieces: readonly Piece[]): Uint8Array<ArrayBuffer> {
  const length = pieces.reduce((sum, piece) => sum + HEAD_BYTES + bytesOf(piece).length, 0);
  const whole = new Uint8Array(new ArrayBuffer(length));
  const view = Buffer.from(whole.buffer);
  let at = 0;
  for (const piece of pieces) {
    const bytes = bytesOf(piece);
    view.writeUInt8(KINDS.indexOf(kindOf(piece)), at);
    view.writeUInt32LE(piece.connection, at + 1);
    view.writeDoubleLE(piece.t, at + 5);
    view.writeDoubleLE(piece.kind === 'bytes' ? piece.spentMs : 0, at + 13);
    view.writeUInt32LE(bytes.length, at + 21);
    view.set(bytes, at + HEAD_BYTES);
    at += HEAD_BYTES + bytes.length;
  }
  return whole;
}

/** Reads what `packed` has written. The bytes of the pieces share the memory of `whole`. */
export function* unpacked(whole: Uint8Array): Generator<Piece> {
  const view = Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength);
  for (let at = 0; at < view.length;) {
    const [kind, side] = (KINDS[view.readUInt8(at)] ?? '').split(' ');
    const connection = view.readUInt32LE(at + 1);
    const t = view.readDoubleLE(at + 5);
    const spentMs = view.readDoubleLE(at + 13);
    const end = at + HEAD_BYTES + view.readUInt32LE(at + 21);
    const bytes = view.subarray(at + HEAD_BYTES, end);
    at = end;
    if (kind === 'bytes') yield { kind, connection, t, from: side as Side, spentMs, bytes };
    else if (kind === 'closed') yield { kind, connection, t, by: side as EndedBy };
    else yield { kind: 'torn', connection, t };
  }
}

const NOTHING = Buffer.alloc(0);

function bytesOf(piece: Piece): Buffer {
  return piece.kind === 'bytes' ? piece.bytes : NOTHING;
}

function kindOf(piece: Piece): (typeof KINDS)[number] {
  if (piece.kind === 'bytes') return `bytes ${piece.from}`;
  return piece.kind === 'closed' ? `closed ${piece.by}` : 'torn';
}
