import type { LogDisk } from './log-disk';
import type { FilePosition } from './position';
import type { SpoolFile } from './spool-chain';
import { TailWindow } from './tail-window';

type Reader = Pick<LogDisk, 'read'>;

/** How far the file being read has been taken, and the bytes before that, by which the place is known again. */
export class SpoolCursor {
  private readonly window = new TailWindow();
  private at = 0;
  /** Inside a record that does not fit into the buffer. */
  passingOver = false;

  get offset(): number {
    return this.at;
  }

  toStart(): void {
    this.at = 0;
    this.passingOver = false;
    this.window.clear();
  }

  /** To a place that was saved, and found again by its window. */
  restore({ offset, window }: FilePosition): void {
    this.at = offset;
    this.window.restore(window);
  }

  /** To a place of which only the offset is known. */
  jump(file: SpoolFile, offset: number, disk: Reader): void {
    this.at = offset;
    this.window.readBefore(offset, (into, from) => disk.read(file.fd, into, into.length, from));
  }

  /** Over the first `consumed` bytes of what was read from here. */
  moveBy(source: Buffer, consumed: number): void {
    this.window.push(source, consumed);
    this.at += consumed;
  }

  /** False when the file was cut below this place, whatever it has grown to since (copytruncate, an administrator). */
  isStillIn(file: SpoolFile, disk: Reader): boolean {
    return this.window.precedes(this.at, (into, from) => disk.read(file.fd, into, into.length, from));
  }

  save({ ino, birth }: SpoolFile): FilePosition {
    return { ino, birth, offset: this.at, window: this.window.save() };
  }
}
