import type { ImageRecord } from './records';

/**
 * How many image ids the table remembers beyond the existing images. They keep a late answer from bringing a removed image
 * back.
 */
const REMEMBERED = 1_000;

/** Images by id, and by each of their names. Only ImageSync changes this table. */
export class ImageTable {
  private readonly byId = new Map<string, ImageRecord>();
  private readonly idByName = new Map<string, string>();

  private revision = 0;
  private changes = 0;
  /** The number of the last change of each image, kept also for images that are gone. */
  private readonly touched = new Map<string, number>();

  /** A revision that grows with every change of ids, names or sizes. */
  get now(): number {
    return this.revision;
  }

  get size(): number {
    return this.byId.size;
  }

  /**
   * Returns a number that the caller notes before it asks the Engine. When the answer arrives, `isNewerThan` compares this
   * number with the image's last change. The number grows with every question and every change.
   */
  ask(): number {
    return ++this.changes;
  }

  /** Whether the image was changed or removed after `asked`, a number from `ask`. */
  isNewerThan(id: string, asked: number): boolean {
    return (this.touched.get(id) ?? 0) > asked;
  }

  values(): IterableIterator<ImageRecord> {
    return this.byId.values();
  }

  get(id: string): ImageRecord | undefined {
    return this.byId.get(id);
  }

  /**
   * Finds an image by its name.
   * @param name a tag or digest exactly as the Engine lists it (`RepoTags`, `RepoDigests`).
   */
  byName(name: string): ImageRecord | undefined {
    const id = this.idByName.get(name);
    return id === undefined ? undefined : this.byId.get(id);
  }

  /** Returns all images whose id starts with `prefix` (with or without `sha256:`). */
  byIdPrefix(prefix: string): ImageRecord[] {
    const wanted = prefix.startsWith('sha256:') ? prefix : `sha256:${prefix}`;
    const exact = this.byId.get(wanted);
    return exact !== undefined
      ? [exact]
      : [...this.byId.values()].filter((image) => image.id.startsWith(wanted));
  }

  put(image: ImageRecord): void {
    this.touch(image.id);
    const before = this.byId.get(image.id);
    if (before !== undefined) this.forgetNames(before);
    this.byId.set(image.id, image);
    if (before === undefined || !isSame(before, image)) this.revision++;
    for (const name of [...image.repoTags, ...image.repoDigests]) this.takeName(name, image.id);
  }

  /**
   * Removes an image.
   * @param asked the number of the question whose answer lacks the image, so that an answer to a later question can still
   * put it. It is omitted when the image is certainly gone.
   */
  delete(id: string, asked?: number): void {
    this.touch(id, asked);
    const before = this.byId.get(id);
    if (before === undefined) return;
    this.forgetNames(before);
    this.byId.delete(id);
    this.revision++;
  }

  private touch(id: string, at = ++this.changes): void {
    this.touched.delete(id);
    this.touched.set(id, at);
    // The first entry is the oldest, because each change moves an image to the end.
    if (this.touched.size > REMEMBERED + this.byId.size)
      for (const oldest of this.touched.keys()) return void this.touched.delete(oldest);
  }

  /** Gives a name to an image. The image that had this name before loses it. */
  private takeName(name: string, id: string): void {
    const formerId = this.idByName.get(name);
    const former = formerId === undefined || formerId === id ? undefined : this.byId.get(formerId);
    if (former !== undefined) {
      this.byId.set(former.id, {
        ...former,
        repoTags: former.repoTags.filter((tag) => tag !== name),
        repoDigests: former.repoDigests.filter((digest) => digest !== name),
      });
    }
    this.idByName.set(name, id);
  }

  private forgetNames(image: ImageRecord): void {
    for (const name of [...image.repoTags, ...image.repoDigests]) {
      if (this.idByName.get(name) === image.id) this.idByName.delete(name);
    }
  }
}

function isSame(a: ImageRecord, b: ImageRecord): boolean {
  const names = ({ repoTags, repoDigests }: ImageRecord): string =>
    [...repoTags, ...repoDigests].sort().join(' ');
  return a.size === b.size && names(a) === names(b);
}
