/** Enough for the time stamp that ends a Docker record, which no other record shares. */
const WINDOW_BYTES = 64;

/** The last bytes before a position: they tell whether a file found later under the same inode is still the same. */
export class TailWindow {
  private bytes: Buffer = Buffer.alloc(0);

  /** Takes over the end of `source[0..length]`, the bytes that now precede the position. */
  push(source: Buffer, length: number): void {
    const added = Buffer.from(source.subarray(Math.max(0, length - WINDOW_BYTES), length));
    this.bytes =
      added.length >= WINDOW_BYTES ? added : Buffer.concat([this.bytes, added]).subarray(-WINDOW_BYTES);
  }

  /** Fetches the window of a file of this size. */
  readBefore(size: number, read: (into: Buffer, at: number) => number): void {
    const bytes = Buffer.alloc(Math.min(WINDOW_BYTES, size));
    this.bytes = bytes.subarray(0, bytes.length === 0 ? 0 : read(bytes, size - bytes.length));
  }

  /** Whether the bytes of `read` just before `position` are still these. */
  precedes(position: number, read: (into: Buffer, at: number) => number): boolean {
    return precedes(this.bytes, position, read);
  }

  clear(): void {
    this.bytes = Buffer.alloc(0);
  }

  restore(saved: string): void {
    this.bytes = Buffer.from(saved, 'base64');
  }

  /** For the position record. */
  save(): string {
    return this.bytes.toString('base64');
  }
}

/** Whether the bytes of `read` just before `position` are the saved ones. */
export function endsWithWindow(
  saved: string,
  position: number,
  read: (into: Buffer, at: number) => number,
): boolean {
  return precedes(Buffer.from(saved, 'base64'), position, read);
}

function precedes(expected: Buffer, position: number, read: (into: Buffer, at: number) => number): boolean {
  if (expected.length > position) return false;
  if (expected.length === 0) return true;
  const found = Buffer.alloc(expected.length);
  return read(found, position - expected.length) === expected.length && found.equals(expected);
}
