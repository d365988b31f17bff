import { failedPrecondition, hasCode, notFound } from '../../lib/errors';
import { parseObject, text } from '../../lib/json';
import type { BlobSource } from './containerd/content-store';
import {
  blobsOf,
  indexLabels,
  isIndex,
  isManifest,
  manifestLabels,
  manifestsFor,
  parseManifest,
  type Descriptor,
  type Document,
  type Platform,
} from './manifest';

/** All that one platform needs of an image. */
export interface Chain {
  /** What the image record leads to: an index, or the manifest. */
  readonly top: Descriptor;
  /** The index, if there is one, and the manifest. */
  readonly documents: readonly Document[];
  /** Configuration and layers, each once. */
  readonly blobs: readonly Descriptor[];
  /** The image id in CRI. */
  readonly configDigest: string;
}

/**
 * Follows an image from its index or manifest to its layers.
 * @throws NOT_FOUND when the source lacks a document; FAILED_PRECONDITION when the image is not for `platform`.
 */
export async function resolveChain(source: BlobSource, digest: string, platform: Platform): Promise<Chain> {
  const top = await documentOf(source, digest);
  if (isManifest(top.descriptor)) return chainOf(top.descriptor, [], top);
  if (!isIndex(top.descriptor))
    throw failedPrecondition(`${digest} is of the unknown type "${top.descriptor.mediaType}"`);
  const candidates = manifestsFor(top.bytes, platform);
  for (const candidate of candidates) {
    const manifest = await documentIfThere(source, candidate.digest);
    if (manifest === undefined) continue;
    // An entry without a platform may be for any platform.
    if (candidates.length > 1 && (await configPlatform(source, manifest)) !== platform.architecture) continue;
    return chainOf(top.descriptor, [{ ...top, labels: indexLabels(candidate) }], {
      ...manifest,
      descriptor: candidate,
    });
  }
  throw failedPrecondition(
    `the Engine has no image for ${platform.os}/${platform.architecture} under ${digest}: pull it again`,
  );
}

/** Like resolveChain. @returns undefined when a document or a blob is missing, or the image is not for `platform`. */
export async function wholeChain(
  source: BlobSource,
  digest: string,
  platform: Platform,
): Promise<Chain | undefined> {
  try {
    const chain = await resolveChain(source, digest, platform);
    for (const blob of chain.blobs) if ((await source.info(blob.digest)) === undefined) return undefined;
    return chain;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'FAILED_PRECONDITION')) return undefined;
    throw error;
  }
}

function chainOf(top: Descriptor, above: readonly Document[], manifest: Document): Chain {
  const parsed = parseManifest(manifest.bytes, manifest.descriptor.digest);
  return {
    top,
    documents: [...above, { ...manifest, labels: manifestLabels(parsed) }],
    blobs: blobsOf(parsed),
    configDigest: parsed.config.digest,
  };
}

async function documentOf(source: BlobSource, digest: string): Promise<Document> {
  const found = await documentIfThere(source, digest);
  if (found === undefined) throw notFound(`there is no content ${digest}`);
  return found;
}

async function documentIfThere(source: BlobSource, digest: string): Promise<Document | undefined> {
  if ((await source.info(digest)) === undefined) return undefined;
  const bytes = await source.document(digest);
  const content = parseObject(bytes.toString('utf8')) ?? {};
  // OCI made the field optional: an index has manifests, and a manifest has layers.
  const guessed = `application/vnd.oci.image.${'manifests' in content ? 'index' : 'manifest'}.v1+json`;
  const mediaType = text(content.mediaType) === '' ? guessed : text(content.mediaType);
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes, labels: {} };
}

async function configPlatform(source: BlobSource, { bytes, descriptor }: Document): Promise<string> {
  const { config } = parseManifest(bytes, descriptor.digest);
  if ((await source.info(config.digest)) === undefined) return '';
  return text(parseObject((await source.document(config.digest)).toString('utf8'))?.architecture);
}
