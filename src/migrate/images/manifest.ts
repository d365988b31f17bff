import { createHash } from 'node:crypto';
import { internal } from '../../lib/errors';
import { isObject, objects, parseObject, text } from '../../lib/json';
import type { Blob, Labels } from './containerd/content-store';

export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
const MANIFESTS: ReadonlySet<string> = new Set([
  DOCKER_MANIFEST,
  'application/vnd.oci.image.manifest.v1+json',
]);
const INDEXES: ReadonlySet<string> = new Set([
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.index.v1+json',
]);

export interface Descriptor extends Blob {
  readonly mediaType: string;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
}

/** The blobs to which a manifest leads. */
export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** An index or a manifest, with labels that protect the blobs to which it leads from the garbage collector. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly labels: Labels;
}

export const isIndex = ({ mediaType }: Descriptor): boolean => INDEXES.has(mediaType);
export const isManifest = ({ mediaType }: Descriptor): boolean => MANIFESTS.has(mediaType);

export const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * Makes the manifest of an image whose layers are uncompressed, as the Engine's own store saves them. The same image always gets
 * the same manifest.
 */
export function manifestOf(config: Blob, layers: readonly Blob[]): Document {
  const described = (mediaType: string, { digest, size }: Blob): Descriptor => ({ mediaType, size, digest });
  const manifest = {
    schemaVersion: 2,
    mediaType: DOCKER_MANIFEST,
    config: described(DOCKER_CONFIG, config),
    layers: layers.map((layer) => described(DOCKER_LAYER, layer)),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return {
    descriptor: { mediaType: DOCKER_MANIFEST, digest: digestOf(bytes), size: bytes.length },
    bytes,
    labels: manifestLabels(manifest),
  };
}

/** @throws INTERNAL when the bytes are not a manifest with a configuration. */
export function parseManifest(bytes: Buffer, digest: string): Manifest {
  const { config, layers } = parseObject(bytes.toString('utf8')) ?? {};
  const parsed = descriptor(config);
  if (parsed === undefined) throw internal(`${digest} is not an image manifest`);
  return {
    config: parsed,
    layers: objects(layers).flatMap((layer) => descriptor(layer) ?? []),
  };
}

/** Returns the manifests of an index that may be for `platform`, in the index's order. Attestations are for no platform. */
export function manifestsFor(index: Buffer, { os, architecture }: Platform): Descriptor[] {
  const { manifests } = parseObject(index.toString('utf8')) ?? {};
  return objects(manifests)
    .filter(({ platform }) => {
      // The Engine's index names no platform for an image that the Engine has built for its own platform.
      if (!isObject(platform)) return true;
      return platform.os === os && platform.architecture === architecture;
    })
    .flatMap((one) => descriptor(one) ?? [])
    .filter(isManifest);
}

/** The labels of a manifest. Their names are containerd's (docs/garbage-collection.md there). */
export function manifestLabels({ config, layers }: Manifest): Labels {
  return {
    'containerd.io/gc.ref.content.config': config.digest,
    ...Object.fromEntries(layers.map(({ digest }, at) => [`containerd.io/gc.ref.content.l.${at}`, digest])),
  };
}

/**
 * Returns the label of an index of which one manifest is carried. containerd's own clients number their labels (`…m.0`), so a number
 * here could replace the label that keeps another platform's manifest. containerd ignores what follows the prefix.
 */
export function indexLabels(manifest: Descriptor): Labels {
  const hex = manifest.digest.slice(manifest.digest.indexOf(':') + 1);
  return { [`containerd.io/gc.ref.content.m.dockbridge-${hex.slice(0, 12)}`]: manifest.digest };
}

/** Each blob once: an image may have the same layer twice. */
export function blobsOf({ config, layers }: Manifest): Descriptor[] {
  return [...new Map([config, ...layers].map((blob) => [blob.digest, blob])).values()];
}

function descriptor(value: unknown): Descriptor | undefined {
  if (!isObject(value) || typeof value.size !== 'number') return undefined;
  const [mediaType, digest] = [text(value.mediaType), text(value.digest)];
  return digest === '' ? undefined : { mediaType, digest, size: value.size };
}
