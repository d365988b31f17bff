/** Beside its bytes, what a Buffer costs while it waits. */
const PIECE_BYTES = 256;

/** What a piece of a stream takes in memory while it waits: a peer may send one byte at a time. */
export function waitingCost(piece: Buffer): number {
  return piece.length === 0 ? 0 : piece.length + PIECE_BYTES;
}
