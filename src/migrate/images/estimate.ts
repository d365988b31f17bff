import type { Decision } from './decision';
import type { Descriptor } from './manifest';

/** How much larger than its archive a layer is on the disk, because files fill whole blocks. */
const UNPACKED = 1.2;
/** How much larger than its compressed archive a layer is on the disk. Compression shrinks layers to a half or a third. */
const UNCOMPRESSED = 3;

/** What images need on the target, in bytes. Layers that several images share count once. */
export interface Estimate {
  /** The bytes that move to the target, which stores them. */
  readonly moved: number;
  /** The additional bytes that the target needs when it unpacks the images for their first containers. */
  readonly unpacked: number;
}

/**
 * Adds up the decisions.
 * @param layersSize the size in bytes of all layers of the Engine's own store, each counted once. The Engine reports no sizes of
 * single layers, so this is the limit for images that are saved from this store. Undefined when it is unknown.
 */
export function estimate(decisions: readonly Decision[], layersSize?: number): Estimate {
  const saved = Math.min(
    sumOf(decisions.filter(({ how }) => how === 'save').map(({ bytes }) => bytes)),
    layersSize ?? Infinity,
  );
  const copied = unique(decisions.filter(({ how }) => how === 'copy'));
  // Shared layers do not move, but each namespace of a containerd unpacks them for itself.
  const unpacked = unique(decisions).map(
    ({ size, mediaType }) => size * (/gzip$|zstd$/.test(mediaType) ? UNCOMPRESSED : UNPACKED),
  );
  return {
    moved: saved + sumOf(copied.map(({ size }) => size)),
    unpacked: Math.round(saved * UNPACKED + sumOf(unpacked)),
  };
}

function unique(decisions: readonly Decision[]): Descriptor[] {
  const blobs = decisions.flatMap(({ missing }) => missing);
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
