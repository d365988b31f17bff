import { createHash, type Hash } from 'node:crypto';
import { hasCode, internal, notFound } from '../../lib/errors';
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
  /** Two images may need the same layer, which is then written only once. */
  readonly locks: KeyedLock;
  /** Layers of old archives whose digests had to be computed, by the names of their uploads. The lease holds them. */
  readonly learned: Map<string, Blob>;
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
 * Carries an image of an Engine with its own store (overlay2) through `docker save`. If the target has all blobs, the Engine makes no
 * archive. Otherwise the reading stops after the last missing blob.
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
      const digest =
        what.kind === 'blob'
          ? what.digest
          : layerDigest(what.directory, layerConfigs.get(what.directory), diffIds);
      if (digest !== undefined) {
        if (!missing.has(digest)) continue;
        const blob = { digest, size: entry.size };
        await putBlob(blob, (offset) => bodyFrom(archive, offset), carrying);
        arrived(blob);
      } else if (what.kind === 'layer')
        arrived(await putUnnamed(`entry-${what.directory}`, entry.size, archive, carrying));
    }
  } finally {
    await archive.close();
  }
}

/**
 * Carries the blobs in the archive of an Engine with containerd's store. Nothing in the archive says in advance which blobs the image
 * needs, so all are written. The garbage collector removes the others when the lease has ended.
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
 * Carries an image from one content store to another, or to another namespace of the same store, which moves no bytes.
 * @param blobsAtATime how many blobs are carried at the same time. More than one saves time if no bytes move, because calls then
 * mostly wait for containerd.
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

/** Writes a layer whose digest is unknown until all its bytes have been read. */
async function putUnnamed(name: string, size: number, archive: TarStream, carrying: Carrying): Promise<Blob> {
  const { target, locks, learned, signal } = carrying;
  return locks.run(
    name,
    async () => {
      const before = learned.get(name);
      if (before !== undefined) return before;
      const upload = await target.openUnnamed(name, size, signal);
      if (upload === undefined) throw internal(`the upload ${name} exists already`);
      const hash = createHash('sha256');
      const digest = await send(upload, hashedBody(archive, upload.offset, hash), carrying).catch(
        (error: unknown) => {
          // The store has the layer from another image or a pull, and names it only in the text of the error.
          if (hasCode(error, 'ALREADY_EXISTS')) return `sha256:${hash.digest('hex')}`;
          throw error;
        },
      );
      const blob = await target.hold(digest);
      if (blob === undefined) throw notFound(`the target has lost ${digest}: run the command again`);
      learned.set(name, blob);
      return blob;
    },
    signal,
  );
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

/** Yields the body from `offset` on. Its beginning must be read too, because the hash covers all bytes. */
async function* hashedBody(archive: TarStream, offset: number, hash: Hash): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const chunk of archive.read()) {
    hash.update(chunk);
    const rest = chunk.subarray(Math.max(0, offset - at));
    at += chunk.length;
    if (rest.length > 0) yield rest;
  }
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
