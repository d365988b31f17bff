/** What a waiting Buffer costs in addition to its bytes. */
const PIECE_BYTES = 256;

/** The memory that a waiting piece of a stream takes; a peer may send one byte at a time. */
export function waitingCost(piece: Buffer): number {
  return piece.length === 0 ? 0 : piece.length + PIECE_BYTES;
}
