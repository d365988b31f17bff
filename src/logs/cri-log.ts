import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../lib/errors';
import type { FileFacts, LogDisk } from './log-disk';
import type { FilePosition } from './position';
import { endsWithWindow, TailWindow } from './tail-window';

const NEWLINE = 0x0a;
/** More than the longest line of Docker's (16 KiB and its header). */
const LAST_LINES_BYTES = 64 * 1024;

interface OpenFile {
  readonly fd: number;
  readonly facts: FileFacts;
}

/** The CRI log file of one container: appended to by us, renamed by kubelet, removed by anybody. */
export class CriLog {
  private file: OpenFile | undefined;
  private size = 0;
  /** A write failed half-way and what it left could not be cut off yet. */
  private torn = false;
  private readonly window = new TailWindow();

  constructor(
    readonly path: string,
    private readonly disk: LogDisk,
  ) {}

  get ino(): string | undefined {
    return this.file?.facts.ino;
  }

  /** Someone removed the file that we write to, or renamed another one over it. */
  get isGone(): boolean {
    return this.file !== undefined && this.disk.facts(this.file.fd).links === 0;
  }

  get isAtPath(): boolean {
    return this.disk.inodeAt(this.path) !== undefined;
  }

  /** Where the log ends. The file must be open. */
  position(): FilePosition | undefined {
    if (this.file === undefined) return undefined;
    const { ino, birth } = this.file.facts;
    return { ino, birth, offset: this.size, window: this.window.save() };
  }

  /** Makes sure that we write to an existing file: one that was removed, or whose directory was, is made anew. */
  prepare(): void {
    if (this.file !== undefined) {
      const facts = this.disk.facts(this.file.fd);
      if (facts.links > 0) {
        if (this.torn) this.disk.truncate(this.file.fd, this.size);
        else if (facts.size !== this.size) this.measure(this.file.fd, facts.size);
        this.torn = false;
        return;
      }
    }
    this.use(this.openPath());
  }

  /** Appends whole lines; after an error nothing of them is in the file. Call `prepare` first. */
  append(lines: Buffer, length: number): void {
    const file = this.file;
    if (file === undefined) throw new Error(`${this.path} is not open`);
    try {
      for (let done = 0; done < length;) done += this.disk.write(file.fd, lines, done, length - done);
    } catch (error) {
      this.torn = true;
      this.disk.truncate(file.fd, this.size);
      this.torn = false;
      throw error;
    }
    this.size += length;
    this.window.push(lines, length);
  }

  /** Opens the file at the path; a half line that someone killed left at its end is cut off. */
  open(): void {
    const { fd, facts } = this.openPath();
    this.use({ fd, facts });
    const tail = this.tail();
    const end = tail.lastIndexOf(NEWLINE) + 1;
    if (end === 0 || end === tail.length) return;
    const size = facts.size - tail.length + end;
    this.disk.truncate(fd, size);
    this.measure(fd, size);
  }

  /** The last lines of the open file; the first of them may be cut. */
  tail(): Buffer {
    if (this.file === undefined) return Buffer.alloc(0);
    const bytes = Buffer.alloc(Math.min(LAST_LINES_BYTES, this.size));
    const length = this.disk.read(this.file.fd, bytes, bytes.length, this.size - bytes.length);
    return bytes.subarray(0, length);
  }

  /**
   * Cuts the file of a saved position back to it, wherever kubelet renamed it to, and opens the one at the path.
   * @param mayCreate otherwise nothing is made: a renamed log without a new one at the path is continued where it is.
   * @returns false when nothing could be opened.
   */
  resume(saved: FilePosition, mayCreate: boolean): boolean {
    const found = this.find(saved);
    if (found === undefined && !mayCreate) return false;
    let stays = false;
    if (found !== undefined) {
      try {
        if (found.facts.size > saved.offset) this.disk.truncate(found.fd, saved.offset);
        stays = found.path === this.path || !(mayCreate || this.isAtPath);
        if (stays) this.use({ fd: found.fd, facts: this.disk.facts(found.fd) });
      } finally {
        if (!stays) this.disk.close(found.fd);
      }
    }
    if (!stays) this.open();
    return true;
  }

  /** Whether `previous` is at the path again, and the file that followed it nowhere: kubelet's rename-back. */
  wasPutBack(saved: FilePosition, previous: FilePosition): boolean {
    if (saved.ino === previous.ino || this.disk.inodeAt(this.path) !== previous.ino) return false;
    const old = this.find(previous);
    if (old !== undefined) this.disk.close(old.fd);
    if (old?.path !== this.path) return false;
    const replaced = this.find(saved);
    if (replaced !== undefined) this.disk.close(replaced.fd);
    return replaced === undefined;
  }

  /** Kubelet renamed the file: makes the new one. The old one is kept where the path still leads to it. */
  reopen(): void {
    // Leaves no half line behind in the old file.
    this.prepare();
    const opened = this.openPath();
    if (opened.facts.ino === this.ino) this.disk.close(opened.fd);
    else this.use(opened);
  }

  close(): void {
    const file = this.file;
    this.file = undefined;
    if (file !== undefined) this.disk.close(file.fd);
  }

  private use(file: OpenFile): void {
    this.close();
    this.file = file;
    this.torn = false;
    this.measure(file.fd, file.facts.size);
  }

  private measure(fd: number, size: number): void {
    this.size = size;
    this.window.readBefore(size, (into, at) => this.disk.read(fd, into, into.length, at));
  }

  private openPath(): OpenFile {
    try {
      return this.openAt(this.path);
    } catch (error) {
      if (errnoOf(error) !== 'ELOOP') throw error;
      // cri-dockerd's symlink to the spool (a node that switched over): writing through it would corrupt the spool.
      this.disk.remove(this.path);
      return this.openAt(this.path);
    }
  }

  private openAt(path: string): OpenFile {
    const fd = this.disk.openAppend(path);
    return { fd, facts: this.disk.facts(fd) };
  }

  private candidates(ino: string): string[] {
    if (this.disk.inodeAt(this.path) === ino) return [this.path];
    const directory = dirname(this.path);
    let names: readonly string[];
    try {
      names = this.disk.list(directory);
    } catch {
      return [];
    }
    return names
      .filter((name) => name !== basename(this.path) && !name.endsWith('.gz'))
      .map((name) => join(directory, name))
      .filter((path) => this.disk.inodeAt(path) === ino);
  }

  /** Opens the file of a saved position: the one at the path, or wherever beside it kubelet renamed it to. */
  private find(saved: FilePosition): (OpenFile & { readonly path: string }) | undefined {
    for (const path of this.candidates(saved.ino)) {
      const { fd, facts } = this.openAt(path);
      let isSaved = false;
      try {
        isSaved = this.isSaved(fd, facts, saved);
      } finally {
        if (!isSaved) this.disk.close(fd);
      }
      if (isSaved) return { fd, facts, path };
    }
    return undefined;
  }

  private isSaved(fd: number, facts: FileFacts, saved: FilePosition): boolean {
    if (facts.ino !== saved.ino || facts.size < saved.offset) return false;
    if (saved.window === '') return facts.birth === saved.birth;
    return endsWithWindow(saved.window, saved.offset, (into, at) =>
      this.disk.read(fd, into, into.length, at),
    );
  }
}
