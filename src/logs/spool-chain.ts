import { errnoOf } from '../lib/errors';
import type { LogDisk } from './log-disk';
import { endsWithWindow, TailWindow, type FilePosition } from './resume';

export interface SpoolFile {
  readonly fd: number;
  readonly ino: string;
  readonly birth: string;
  /** Whether the Engine discarded output that precedes this file and that we had not read yet. */
  gapBefore: boolean;
}

/** A position in a chain, at which reading continues. */
export interface SpoolTarget {
  readonly ino: string;
  readonly offset: number;
}

/**
 * The largest number of files that are held open at once. An open file occupies its disk space even after the Engine has
 * removed it.
 */
const MAX_HELD = 8;
const MAX_WALKS = 5;
const LOOK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * The spool files of one container, from the file being read to the newest. moby rotates `name.2`→`name.3`, `name.1`→`name.2`,
 * `name`→`name.1`, and then creates `name`. It closes a file before it renames the file, so a file with a successor never
 * grows. Up to MAX_HELD files are held open, so that they are not lost when further rotations remove them.
 */
export class SpoolChain {
  private files: SpoolFile[] = [];

  constructor(
    private readonly path: string,
    private readonly disk: LogDisk,
  ) {}

  /** The file being read. */
  get current(): SpoolFile | undefined {
    return this.files[0];
  }

  get newest(): SpoolFile | undefined {
    return this.files.at(-1);
  }

  get hasNext(): boolean {
    return this.files.length > 1;
  }

  has(ino: string): boolean {
    return this.files.some((file) => file.ino === ino);
  }

  /**
   * Opens all files from the saved position's file to the newest. Returns undefined when there is no spool file yet. Otherwise
   * returns whether the saved position's file was found. Without a saved position all files are opened, to be read from their
   * start, and the result is true.
   */
  open(saved: FilePosition | undefined): boolean | undefined {
    const walk = this.walk((file) => saved !== undefined && this.isSaved(file, saved));
    if (walk.files.length === 0) return undefined;
    this.files = walk.files;
    const found = saved === undefined || walk.found;
    const oldest = this.files[0];
    if (!found && oldest !== undefined) oldest.gapBefore = true;
    return found;
  }

  /**
   * Opens all files from the saved position on, but at most those with the last `bytes` bytes.
   * @returns where to begin in the oldest file, and whether earlier output is skipped; undefined when there is no spool file.
   */
  openBack(saved: FilePosition | undefined, bytes: number): { offset: number; isCut: boolean } | undefined {
    const found = this.open(saved);
    if (found === undefined) return undefined;
    const isKnown = found && saved !== undefined;
    let from = isKnown ? saved.offset : 0;
    let isCut = !found || (!isKnown && this.isCompressed);
    let over = this.size() - from - bytes;
    for (;;) {
      const oldest = this.current;
      if (oldest === undefined) return undefined;
      const length = this.disk.facts(oldest.fd).size - from;
      if (!this.hasNext || over < length) {
        oldest.gapBefore = false;
        return over > 0
          ? { offset: this.nextRecord(oldest, from + over), isCut: true }
          : { offset: from, isCut };
      }
      over -= length;
      from = 0;
      isCut = true;
      this.advance();
    }
  }

  /** Looks for files that are newer than the newest known file. */
  refresh(): void {
    const newest = this.newest;
    if (newest === undefined || this.disk.inodeAt(this.path) === newest.ino) return;
    const walk = this.walk((file) => file.ino === newest.ino);
    if (walk.found) {
      const [again, ...newer] = walk.files;
      if (again !== undefined) this.disk.close(again.fd);
      this.files.push(...newer);
    } else if (this.disk.facts(newest.fd).links > 0) {
      // The file still exists, so we looked in the middle of a rotation. The next look will find it.
      this.closeAll(walk.files);
    } else {
      const oldest = walk.files[0];
      if (oldest !== undefined) oldest.gapBefore = true;
      this.files.push(...walk.files);
    }
    this.limit();
  }

  /** Returns the position at which the spool ends now. */
  end(): SpoolTarget | undefined {
    this.refresh();
    const { newest } = this;
    return newest && { ino: newest.ino, offset: this.disk.facts(newest.fd).size };
  }

  /** Returns the total size of the current file and its successors, in bytes. */
  size(): number {
    return this.files.reduce((sum, { fd }) => sum + this.disk.facts(fd).size, 0);
  }

  /** Closes the current file and moves to its successor. */
  advance(): void {
    const done = this.files.shift();
    if (done !== undefined) this.disk.close(done.fd);
  }

  /**
   * Makes `file`, which is in the chain, the current file. Removes its mark of a gap, because we have read what precedes it.
   */
  advanceTo(file: SpoolFile): void {
    while (this.files.length > 1 && this.files[0] !== file) this.advance();
    file.gapBefore = false;
  }

  /**
   * Called at the first look. Notes a gap if the current file is younger than the container, because then the Engine must have
   * rotated the spool already.
   */
  suspectWrap(startedAt: string | undefined): void {
    const { current } = this;
    if (current !== undefined && wasBornAfter(current.birth, startedAt)) current.gapBefore = true;
  }

  all(): readonly SpoolFile[] {
    return this.files;
  }

  close(): void {
    this.closeAll(this.files);
    this.files = [];
  }

  /** Compressed files cannot be read here. Other programs may give their containers the log option `compress=true`. */
  private get isCompressed(): boolean {
    return [1, 2].some((number) => this.disk.inodeAt(`${this.path}.${number}.gz`) !== undefined);
  }

  /** Returns the offset of the first record that begins at or after `offset`. */
  private nextRecord(file: SpoolFile, offset: number): number {
    const chunk = Buffer.alloc(LOOK_BYTES);
    for (let at = Math.max(0, offset - 1); ; at += chunk.length) {
      const length = this.disk.read(file.fd, chunk, chunk.length, at);
      const end = chunk.subarray(0, length).indexOf(NEWLINE);
      if (end >= 0) return at + end + 1;
      if (length < chunk.length) return at + length;
    }
  }

  private closeAll(files: readonly SpoolFile[]): void {
    for (const file of files) this.disk.close(file.fd);
  }

  private limit(): void {
    while (this.files.length > MAX_HELD) {
      const [dropped] = this.files.splice(1, 1);
      if (dropped !== undefined) this.disk.close(dropped.fd);
      const next = this.files[1];
      if (next !== undefined) next.gapBefore = true;
    }
  }

  private isSaved(file: SpoolFile, saved: FilePosition): boolean {
    if (file.ino !== saved.ino) return false;
    // If nothing was read yet, there are no bytes to compare, so only the birth time shows whether the inode was reused.
    if (saved.offset === 0) return file.birth === saved.birth;
    return endsWithWindow(saved.window, saved.offset, (into, at) =>
      this.disk.read(file.fd, into, into.length, at),
    );
  }

  /**
   * Returns the files from the oldest to the newest, each of them once. The first one is the file that `isLast` accepts or, if
   * there is none, the oldest file.
   */
  private walk(isLast: (file: SpoolFile) => boolean): { files: SpoolFile[]; found: boolean } {
    for (let attempt = 1; ; attempt++) {
      const { files, found } = this.walkOnce(isLast);
      const newest = files.at(-1);
      const stable = newest === undefined || this.disk.inodeAt(this.path) === newest.ino;
      if (found || stable || attempt >= MAX_WALKS) return { files, found };
      this.closeAll(files);
    }
  }

  private walkOnce(isLast: (file: SpoolFile) => boolean): { files: SpoolFile[]; found: boolean } {
    const files: SpoolFile[] = [];
    let found = false;
    let missing = 0;
    try {
      // While the Engine rotates, one number is missing for a moment, so only two missing numbers in a row mark the end.
      for (let number = 0; !found && missing < 2; number++) {
        const file = this.openNumber(number);
        missing = file === undefined ? missing + 1 : 0;
        if (file === undefined) continue;
        if (files.some((known) => known.ino === file.ino)) {
          this.disk.close(file.fd);
          continue;
        }
        files.unshift(file);
        found = isLast(file);
      }
      return { files, found };
    } catch (error) {
      this.closeAll(files);
      throw error;
    }
  }

  private openNumber(number: number): SpoolFile | undefined {
    let fd: number;
    try {
      fd = this.disk.openRead(number === 0 ? this.path : `${this.path}.${number}`);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    const { ino, birth } = this.disk.facts(fd);
    return { fd, ino, birth, gapBefore: false };
  }
}

/**
 * The tolerance in ms. Engine 26 and later record the container's start time shortly before they create the first spool file.
 */
const START_TAKES_MS = 10_000;

/**
 * Whether the file was created after the container's start. The Engine creates the first spool file when it starts the
 * container, so a younger file had a predecessor.
 */
function wasBornAfter(birth: string, startedAt: string | undefined): boolean {
  const started = startedAt === undefined ? NaN : Date.parse(startedAt);
  // A file system without birth times reports 0. Docker writes a date before the epoch for "never".
  return birth !== '0' && started > 0 && Number(BigInt(birth) / 1_000_000n) > started + START_TAKES_MS;
}

type Reader = Pick<LogDisk, 'read'>;

/** The position up to which the file was read, and the bytes before it, by which the position is recognized again. */
export class SpoolCursor {
  private readonly window = new TailWindow();
  private at = 0;
  /** Whether the position is inside a record that does not fit into the buffer. */
  passingOver = false;

  get offset(): number {
    return this.at;
  }

  toStart(): void {
    this.at = 0;
    this.passingOver = false;
    this.window.clear();
  }

  /** Moves to a saved position that was recognized by its window. */
  restore({ offset, window }: FilePosition): void {
    this.at = offset;
    this.window.restore(window);
  }

  /** Moves to a position of which only the offset is known. */
  jump(file: SpoolFile, offset: number, disk: Reader): void {
    this.at = offset;
    this.window.readBefore(offset, (into, from) => disk.read(file.fd, into, into.length, from));
  }

  /** Moves past the first `consumed` bytes of the data that was read from this position. */
  moveBy(source: Buffer, consumed: number): void {
    this.window.push(source, consumed);
    this.at += consumed;
  }

  /**
   * Returns false when the file was truncated below this position (by copytruncate or an administrator), even if it has grown
   * since then.
   */
  isStillIn(file: SpoolFile, disk: Reader): boolean {
    return this.window.precedes(this.at, (into, from) => disk.read(file.fd, into, into.length, from));
  }

  save({ ino, birth }: SpoolFile): FilePosition {
    return { ino, birth, offset: this.at, window: this.window.save() };
  }
}
