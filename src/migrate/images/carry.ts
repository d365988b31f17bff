import { internal, notFound } from '../../lib/errors';
import { forEachLimited } from '../../lib/async/concurrency';
import type { KeyedLock } from '../../lib/async/keyed-lock';
import { resolveChain, type Chain } from './chain';
import type { Blob, BlobSource, BlobTarget, BlobUpload } from './containerd/content-store';
import { manifestOf, type Document, type Platform } from './manifest';
import { layerOfDirectory, savedEntry } from './saved-layers';
import { TarStream } from './tar-stream';

/** The size of a request of an upload in bytes. containerd accepts up to 16 MiB. */
const REQUEST_BYTES = 1024 * 1024;
const MAX_LAYER_CONFIG = 1024 * 1024;

/** What all images that are carried at the same time share. */
export interface Carrying {
  readonly target: BlobTarget;
  /** Two images may need the same layer, and it is written once. */
  readonly locks: KeyedLock;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes that were sent to the target. */
  readonly onBytes: (count: number) => void;
}

/** An image of an Engine with its own store. The digests of its layers are those of their uncompressed archives. */
export interface SavedImage {
  /** The digest of the configuration. */
  readonly id: string;
  readonly diffIds: readonly string[];
}

/** Opens the archive of `docker save`. */
export type OpenArchive = () => Promise<AsyncIterable<Buffer>>;

/**
 * Carries an image of an Engine with its own store (overlay2) through `docker save`. The archive is not asked for when the target
 * has all blobs, and its reading ends with the last blob that is missing.
 * @returns the manifest, which is in the target's store.
 */
export async function carrySaved(
  { id, diffIds }: SavedImage,
  openArchive: OpenArchive,
  carrying: Carrying,
): Promise<Document> {
  const { target } = carrying;
  const present = new Map<string, Blob>();
  const missing = new Set<string>();
  for (const digest of new Set([id, ...diffIds])) {
    const blob = await target.hold(digest);
    if (blob === undefined) missing.add(digest);
    else present.set(digest, blob);
  }
  const arrived = (blob: Blob): void => {
    missing.delete(blob.digest);
    present.set(blob.digest, blob);
  };
  if (missing.size > 0)
    await readArchive(new TarStream(await openArchive()), diffIds, missing, arrived, carrying);
  const [first] = missing;
  if (first !== undefined) throw notFound(`the Engine's archive of ${id} lacks ${first}`);
  const [config, ...layers] = [id, ...diffIds].map((digest) => {
    const blob = present.get(digest);
    if (blob === undefined) throw internal(`${digest} is missing`);
    return blob;
  });
  if (config === undefined || layers.length === 0) throw internal(`${id} has no layers`);
  const manifest = manifestOf(config, layers);
  await putDocument(manifest, carrying);
  return manifest;
}

async function readArchive(
  archive: TarStream,
  diffIds: readonly string[],
  missing: ReadonlySet<string>,
  arrived: (blob: Blob) => void,
  carrying: Carrying,
): Promise<void> {
  const layerConfigs = new Map<string, string>();
  try {
    for (;;) {
      if (missing.size === 0) return;
      const entry = await archive.next();
      if (entry === undefined) return;
      const what = savedEntry(entry.name);
      if (entry.kind !== 'file' || what.kind === 'other') continue;
      if (what.kind === 'layer-config') {
        layerConfigs.set(what.directory, await smallText(archive, entry.size));
        continue;
      }
      const known =
        what.kind === 'blob'
          ? what.digest
          : layerDigest(what.directory, layerConfigs.get(what.directory), diffIds);
      if (known === undefined) {
        // Only the store can tell which layer this is.
        const name = what.kind === 'layer' ? `entry-${what.directory}` : '';
        arrived(await putUnnamed(name, entry.size, archive, carrying));
      } else if (missing.has(known)) {
        const blob = { digest: known, size: entry.size };
        await putBlob(blob, (offset) => bodyFrom(archive, offset), carrying);
        arrived(blob);
      }
    }
  } finally {
    await archive.close();
  }
}

/**
 * Carries the blobs of the archive of an Engine with containerd's store. Only their names tell what they are, so they are all
 * written, and those that the image does not need leave with the lease.
 */
export async function carryArchive(
  id: string,
  platform: Platform,
  openArchive: OpenArchive,
  carrying: Carrying,
): Promise<Chain> {
  const archive = new TarStream(await openArchive());
  try {
    for (let entry = await archive.next(); entry !== undefined; entry = await archive.next()) {
      const what = savedEntry(entry.name);
      if (entry.kind !== 'file' || what.kind !== 'blob') continue;
      await putBlob(
        { digest: what.digest, size: entry.size },
        (offset) => bodyFrom(archive, offset),
        carrying,
      );
    }
  } finally {
    await archive.close();
  }
  const chain = await resolveChain(carrying.target, id, platform);
  await carryChain(chain, carrying.target, carrying);
  return chain;
}

/**
 * Carries an image from one content store to another one, or to another namespace of the same one, which moves no bytes.
 * @param blobsAtATime when no bytes move, an image takes as long as containerd's answers, so several blobs may wait together.
 */
export async function carryChain(
  chain: Chain,
  source: BlobSource,
  carrying: Carrying,
  blobsAtATime = 1,
): Promise<void> {
  await forEachLimited(chain.blobs, blobsAtATime, (blob) =>
    putBlob(blob, (offset) => source.read(blob.digest, offset), carrying),
  );
  // What a label names should exist before the label.
  for (const document of [...chain.documents].reverse()) await putDocument(document, carrying);
}

async function putDocument({ descriptor, bytes, labels }: Document, carrying: Carrying): Promise<void> {
  await putBlob(descriptor, (offset) => [bytes.subarray(offset)], carrying);
  await carrying.target.setLabels(descriptor.digest, labels);
}

/** Writes a blob, or the part of it that the target lacks. */
async function putBlob(
  blob: Blob,
  bytesFrom: (offset: number) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  carrying: Carrying,
): Promise<void> {
  const { target, locks, signal } = carrying;
  await locks.run(
    blob.digest,
    async () => {
      const upload = await target.open(blob, signal);
      if (upload === undefined) return;
      await send(upload, upload.offset < blob.size ? bytesFrom(upload.offset) : [], carrying);
    },
    signal,
  );
}

async function putUnnamed(name: string, size: number, archive: TarStream, carrying: Carrying): Promise<Blob> {
  const upload = await carrying.target.openUnnamed(name, size, carrying.signal);
  if (upload === undefined) throw internal(`the upload ${name} exists already`);
  return { digest: await send(upload, bodyFrom(archive, upload.offset), carrying), size };
}

async function send(
  upload: BlobUpload,
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { signal, onBytes }: Carrying,
): Promise<string> {
  try {
    for await (const { chunks, size } of inRequests(bytes)) {
      signal?.throwIfAborted();
      await upload.write(chunks);
      onBytes(size);
    }
    return await upload.commit({});
  } finally {
    upload.close();
  }
}

/** Gathers small chunks, because each request costs a round trip. */
async function* inRequests(
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<{ chunks: readonly Uint8Array[]; size: number }> {
  let [chunks, size]: [Uint8Array[], number] = [[], 0];
  for await (const chunk of bytes) {
    chunks.push(chunk);
    size += chunk.length;
    if (size < REQUEST_BYTES) continue;
    yield { chunks, size };
    [chunks, size] = [[], 0];
  }
  if (size > 0) yield { chunks, size };
}

async function* bodyFrom(archive: TarStream, offset: number): AsyncGenerator<Buffer> {
  await archive.skipBody(offset);
  yield* archive.read();
}

async function smallText(archive: TarStream, size: number): Promise<string> {
  if (size > MAX_LAYER_CONFIG) return '';
  const chunks: Buffer[] = [];
  for await (const chunk of archive.read()) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function layerDigest(
  directory: string,
  json: string | undefined,
  diffIds: readonly string[],
): string | undefined {
  const at = layerOfDirectory(directory, json ?? '', diffIds);
  return at === undefined ? undefined : diffIds[at];
}
