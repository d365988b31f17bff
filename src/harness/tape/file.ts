import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { TapeHeader } from './format';

/** Only the owner may read a tape, because the messages on it can contain secrets. */
const MODE = 0o600;

/** Writes a tape with synchronous calls. It runs in a separate thread, so that a disk that hangs blocks nothing else (docs/adr/0072). */
export class TapeFile {
  #bytes = 0;
  /** Whether the last write was cut off in the middle of a line. */
  #torn = false;

  private constructor(private readonly fd: number) {}

  /** Creates the file. @throws the system's error, also if the file exists, because tapes are not overwritten. */
  static create(path: string, header: TapeHeader): TapeFile {
    const tape = new TapeFile(openSync(path, 'wx', MODE));
    tape.append(`${JSON.stringify(header)}\n`);
    return tape;
  }

  /**
   * Writes a text at the end of the file.
   * @throws the system's error. A part of the text may then be in the file, and the next text begins on a new line.
   */
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

  /** Closes the file. @returns the number of bytes written, and whether fsync succeeded. */
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
