import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { TapeHeader } from './format';

/** Only its owner may read what kubelet and the runtime say to each other. */
const MODE = 0o600;

/** A tape that is being written, in a thread of its own: a disk that hangs stops nobody else (docs/adr/0072). */
export class TapeFile {
  #bytes = 0;
  /** Whether the last write was cut off in the middle of a line. */
  #torn = false;

  private constructor(private readonly fd: number) {}

  /** @throws the system's error, also when the file exists: no tape is overwritten. */
  static create(path: string, header: TapeHeader): TapeFile {
    const tape = new TapeFile(openSync(path, 'wx', MODE));
    tape.append(`${JSON.stringify(header)}\n`);
    return tape;
  }

  /** @throws the system's error. A part of the text may be in the file then, and the next text begins on a new line. */
  append(text: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${text}` : text);
    this.#torn = true;
    for (let at = 0; at < bytes.length;) {
      const written = writeSync(this.fd, bytes, at);
      at += written;
      this.#bytes += written;
    }
    this.#torn = false;
  }

  /** @returns the number of bytes written, and whether fsync succeeded. */
  close(): { readonly bytes: number; readonly isOnDisk: boolean } {
    try {
      fsyncSync(this.fd);
      closeSync(this.fd);
      return { bytes: this.#bytes, isOnDisk: true };
    } catch {
      return { bytes: this.#bytes, isOnDisk: false };
    }
  }
}
