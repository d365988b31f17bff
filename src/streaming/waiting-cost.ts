/** The memory that a waiting Buffer needs in addition to its bytes. */
const PIECE_BYTES = 256;

/**
 * Returns the memory in bytes that a waiting piece of a stream needs. A fixed part is added, because a peer may send one
 * byte at a time.
 */
export function waitingCost(piece: Buffer): number {
  return piece.length === 0 ? 0 : piece.length + PIECE_BYTES;
}
