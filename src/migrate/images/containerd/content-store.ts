import { hasCode, internal } from '../../../lib/errors';
import type { Decoded } from '../../../proto';
import type { content } from '../../../proto/containerd';
import type { ContainerdConnection, Place } from './connection';
import { Upload } from './upload';

/** Manifests, indexes and configurations are a few KiB. Registries limit manifests to 4 MiB. */
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

export type Labels = Readonly<Record<string, string>>;

/** Where blobs can be read. */
export interface BlobSource {
  /** @returns undefined when there is no such blob. */
  info(digest: string): Promise<Blob | undefined>;
  /** Reads a small blob. @throws NOT_FOUND when there is none. */
  document(digest: string): Promise<Buffer>;
  /** Reads a blob from `offset` to its end. */
  read(digest: string, offset: number): AsyncIterable<Uint8Array>;
}

/** A blob on its way into a store. */
export interface BlobUpload {
  readonly offset: number;
  /** Sends the next bytes, which may be in several chunks. */
  write(chunks: readonly Uint8Array[]): Promise<void>;
  commit(labels: Labels): Promise<string>;
  /** Ends the upload without a commit. It can be resumed. */
  close(): void;
}

/** Where blobs are written. */
export interface BlobTarget extends BlobSource {
  /** Holds a blob with the lease, so that it stays. @returns the blob, or undefined when there is none. */
  hold(digest: string): Promise<Blob | undefined>;
  /** Begins or resumes the upload of a blob. @returns undefined when the blob is there already; the lease then holds it. */
  open(blob: Blob, signal?: AbortSignal): Promise<BlobUpload | undefined>;
  /** Begins or resumes the upload of bytes whose digest is not known yet. Uploads of the same bytes must have the same `name`. */
  openUnnamed(name: string, size: number, signal?: AbortSignal): Promise<BlobUpload | undefined>;
  setLabels(digest: string, labels: Labels): Promise<void>;
}

/** The beginning of the name of a label that a pull sets. The registry's name follows. */
const PULLED_FROM = 'containerd.io/distribution.source.';

/** The content store of a containerd, seen from one namespace. */
export class ContainerdContent implements BlobTarget {
  constructor(
    private readonly connection: ContainerdConnection,
    private readonly place: Place,
  ) {}

  async info(digest: string): Promise<Blob | undefined> {
    const info = await this.fullInfo(digest);
    return info && { digest, size: Number(info.size) };
  }

  /** Whether the content is from a registry; undefined when there is no such content. */
  async isPulled(digest: string): Promise<boolean | undefined> {
    const info = await this.fullInfo(digest);
    return info && Object.keys(info.labels).some((name) => name.startsWith(PULLED_FROM));
  }

  async document(digest: string): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of this.read(digest, 0)) {
      size += chunk.length;
      if (size > MAX_DOCUMENT_BYTES) throw internal(`${digest} is too large for a manifest`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  read(digest: string, offset: number): AsyncIterable<Uint8Array> {
    return this.connection.read(digest, offset, this.place);
  }

  async hold(digest: string): Promise<Blob | undefined> {
    const { lease } = this.place;
    const found = await this.info(digest);
    if (found === undefined || lease === undefined) return found;
    await this.connection.call(
      'addToLease',
      { id: lease, resource: { id: digest, type: 'content' } },
      this.place,
    );
    // The garbage collector may have removed the blob before the lease held it.
    return this.info(digest);
  }

  open(blob: Blob, signal?: AbortSignal): Promise<Upload | undefined> {
    const what = { ref: `dockbridge-${blob.digest}`, ...blob };
    return Upload.open(this.connection, what, this.place, signal);
  }

  openUnnamed(name: string, size: number, signal?: AbortSignal): Promise<Upload | undefined> {
    return Upload.open(this.connection, { ref: `dockbridge-${name}`, digest: '', size }, this.place, signal);
  }

  async setLabels(digest: string, labels: Labels): Promise<void> {
    if (Object.keys(labels).length === 0) return;
    // Each label has a path of its own, so that labels of other clients stay.
    const paths = Object.keys(labels).map((name) => `labels.${name}`);
    const info = { digest, labels: { ...labels } };
    await this.connection.call('contentUpdate', { info, update_mask: { paths } }, this.place);
  }

  private async fullInfo(digest: string): Promise<Decoded<content.IInfo> | undefined> {
    try {
      return (await this.connection.call('contentInfo', { digest }, this.place)).info ?? undefined;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }
}
