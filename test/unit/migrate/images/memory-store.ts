import { createHash } from 'node:crypto';
import { RuntimeError } from '../../../../src/lib/errors';
import type {
  Blob,
  BlobTarget,
  BlobUpload,
  Labels,
} from '../../../../src/migrate/images/containerd/content-store';

export const sha256 = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * A content store in memory. It counts the bytes that are written, and keeps uploads that end early, as
 * containerd does.
 */
export class MemoryStore implements BlobTarget {
  readonly blobs = new Map<string, Buffer>();
  readonly labels = new Map<string, Labels>();
  readonly uploads = new Map<string, Buffer>();
  /** The refs of all uploads with their first offsets, in order. */
  readonly opened: [ref: string, offset: number][] = [];
  readonly held: string[] = [];
  written = 0;
  /** containerd lets one caller at a time write an upload. */
  private readonly busy = new Set<string>();

  /** @param shared another namespace of the same store, whose blobs need no bytes. */
  constructor(private readonly shared?: MemoryStore) {}

  add(content: Buffer | string): string {
    const bytes = Buffer.from(content);
    this.blobs.set(sha256(bytes), bytes);
    return sha256(bytes);
  }

  info(digest: string): Promise<Blob | undefined> {
    const bytes = this.blobs.get(digest);
    return Promise.resolve(bytes && { digest, size: bytes.length });
  }

  hold(digest: string): Promise<Blob | undefined> {
    this.held.push(digest);
    return this.info(digest);
  }

  document(digest: string): Promise<Buffer> {
    return Promise.resolve(this.blobs.get(digest) ?? Buffer.alloc(0));
  }

  async *read(digest: string, offset: number): AsyncGenerator<Uint8Array> {
    yield* await Promise.resolve([this.blobs.get(digest)!.subarray(offset)]);
  }

  open(blob: Blob): Promise<BlobUpload | undefined> {
    if (this.blobs.has(blob.digest)) return Promise.resolve(undefined);
    const bytes = this.shared?.blobs.get(blob.digest) ?? this.uploads.get(blob.digest) ?? Buffer.alloc(0);
    return Promise.resolve(this.upload(blob.digest, bytes, blob.digest));
  }

  openUnnamed(name: string): Promise<BlobUpload | undefined> {
    return Promise.resolve(this.upload(name, this.uploads.get(name) ?? Buffer.alloc(0), ''));
  }

  setLabels(digest: string, labels: Labels): Promise<void> {
    this.labels.set(digest, { ...this.labels.get(digest), ...labels });
    return Promise.resolve();
  }

  private upload(ref: string, there: Buffer, expected: string): BlobUpload {
    if (this.busy.has(ref)) throw new Error(`the upload ${ref} is locked`);
    this.busy.add(ref);
    this.opened.push([ref, there.length]);
    let bytes = there;
    return {
      offset: there.length,
      write: (chunks) => {
        bytes = Buffer.concat([bytes, ...chunks]);
        this.written += Buffer.concat(chunks).length;
        this.uploads.set(ref, bytes);
        return Promise.resolve();
      },
      commit: () => {
        const digest = sha256(bytes);
        if (expected !== '' && digest !== expected)
          return Promise.reject(new Error(`${digest} instead of ${expected}`));
        this.uploads.delete(ref);
        // If the upload began without a digest, containerd compares it only now.
        if (this.blobs.has(digest)) return Promise.reject(new RuntimeError('ALREADY_EXISTS', digest));
        this.blobs.set(digest, bytes);
        return Promise.resolve(digest);
      },
      close: () => void this.busy.delete(ref),
    };
  }
}

/** A tar archive in ustar format with GNU long names where they are needed. */
export function tarOf(entries: readonly (readonly [name: string, content: Buffer | string])[]): Buffer {
  const blocks = entries.flatMap(([name, content]) => {
    const bytes = Buffer.from(content);
    const long =
      name.length > 100
        ? [headerOf('././@LongLink', name.length + 1, 'L'), padded(Buffer.from(`${name}\0`))]
        : [];
    return [...long, headerOf(name, bytes.length, '0'), padded(bytes)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function headerOf(name: string, size: number, type: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name.slice(0, 100), 0);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write(type, 156);
  header.write('ustar\0', 257);
  return header;
}

/** The bytes in chunks of this size. */
export async function* chunked(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}
