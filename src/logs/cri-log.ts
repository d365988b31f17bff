import { basename } from 'node:path';
import { errnoOf } from '../lib/errors';
import { logDirectoryOf, type LogDirectory } from './log-directory';
import type { FileFacts, LogDisk } from './log-disk';
import { keptBesideAs, linkedName, TEMPORARY } from './log-link';
import { endsWithWindow, TailWindow, type FilePosition } from './resume';

const NEWLINE = 0x0a;
/** The number of bytes that are read at the end of a log. Docker's longest line has fewer: 16 KiB and a header. */
const LAST_LINES_BYTES = 64 * 1024;

interface OpenFile {
  readonly fd: number;
  readonly facts: FileFacts;
}

/** The CRI log file of one container. We append to it, kubelet renames it, and anybody may remove it. */
export class CriLog {
  private file: OpenFile | undefined;
  private size = 0;
  /** Whether a write failed half-way and the incomplete bytes could not be cut off yet. */
  private torn = false;
  /**
   * The number of bytes in the file after the position at which we write. An earlier run wrote them after it last saved its
   * position. They stay if we write the same bytes again.
   */
  private ahead = 0;
  private readonly window = new TailWindow();
  private readonly directory: LogDirectory;
  private readonly name: string;

  /** @param logDirectory the pod's log directory, if it is known. It determines which part of the path can be trusted. */
  constructor(
    readonly path: string,
    private readonly disk: LogDisk,
    logDirectory?: string,
  ) {
    this.directory = logDirectoryOf(path, logDirectory);
    this.name = basename(path);
  }

  get ino(): string | undefined {
    return this.file?.facts.ino;
  }

  /** Whether somebody has removed the file that we write to, or has renamed another file over it. */
  get isGone(): boolean {
    return this.file !== undefined && this.disk.facts(this.file.fd).links === 0;
  }

  get isAtPath(): boolean {
    return this.inodeAtPath() !== undefined;
  }

  /** Returns the position at which the log ends; undefined when the file is not open. */
  position(): FilePosition | undefined {
    if (this.file === undefined) return undefined;
    const { ino, birth } = this.file.facts;
    return { ino, birth, offset: this.size, window: this.window.save() };
  }

  /** Makes sure that we write to a file that exists: if it or its directory was removed, creates it again. */
  prepare(): void {
    if (this.file !== undefined) {
      const facts = this.disk.facts(this.file.fd);
      if (facts.links > 0) {
        if (this.torn) this.disk.truncate(this.file.fd, this.size);
        else if (facts.size !== this.size + this.ahead) this.wasChanged(this.file.fd, facts.size);
        this.torn = false;
        return;
      }
    }
    this.use(this.openPath());
  }

  /** Appends whole lines. After an error the file contains no part of them. Call `prepare` first. */
  append(lines: Buffer, length: number): void {
    const file = this.file;
    if (file === undefined) throw new Error(`${this.path} is not open`);
    const written = this.recognize(file.fd, lines, length);
    try {
      for (let done = written; done < length;) done += this.disk.write(file.fd, lines, done, length - done);
    } catch (error) {
      this.torn = true;
      this.ahead = 0;
      this.disk.truncate(file.fd, this.size);
      this.torn = false;
      throw error;
    }
    this.size += length;
    this.ahead -= written;
    this.window.push(lines, length);
  }

  /**
   * Called when the spool has been read to its end. Cuts off bytes that an earlier run wrote and we did not write again, such
   * as a note that contains the time.
   */
  cutAhead(): void {
    if (this.ahead === 0 || this.file === undefined) return;
    this.disk.truncate(this.file.fd, this.size);
    this.ahead = 0;
  }

  /** Opens the file at the path, and cuts off half a line that a killed process left at its end. */
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

  /** Reads the last lines of the open file. The first of these lines may be incomplete. */
  tail(): Buffer {
    if (this.file === undefined) return Buffer.alloc(0);
    const bytes = Buffer.alloc(Math.min(LAST_LINES_BYTES, this.size));
    const length = this.disk.read(this.file.fd, bytes, bytes.length, this.size - bytes.length);
    return bytes.subarray(0, length);
  }

  /**
   * Continues in the file of a saved position if it is still at the path, or if there is no file at the path and none may be
   * created. Otherwise cuts it back to the position and opens the file at the path. In the file that is continued, the bytes
   * after the position stay as long as we write the same bytes again, because a log shipper that saw the file shrink would
   * treat it as a new file and send all of it again.
   * @param mayCreate if false, no file is created. If the log was renamed and there is no new file at the path, the renamed
   * file is continued.
   * @returns false when nothing could be opened.
   */
  resume(saved: FilePosition, mayCreate: boolean): boolean {
    const found = this.find(saved);
    if (found === undefined && !mayCreate) return false;
    let stays = false;
    if (found !== undefined) {
      try {
        stays = found.isAtPath || !(mayCreate || this.isAtPath);
        if (stays) this.use({ fd: found.fd, facts: found.facts }, saved.offset);
        else if (found.facts.size > saved.offset) this.disk.truncate(found.fd, saved.offset);
      } finally {
        if (!stays) this.disk.close(found.fd);
      }
    }
    if (!stays) this.open();
    return true;
  }

  /** Whether the path leads to another file than the saved one, and that file is not empty. */
  hasSuccessor({ ino }: FilePosition): boolean {
    const now = this.ifThere((held) => this.disk.factsAt(`${held}/${this.name}`));
    return now !== undefined && now.ino !== ino && now.size > 0;
  }

  /** Whether kubelet has undone its rename: `previous` is at the path again, and the file that followed it is gone. */
  wasPutBack(saved: FilePosition, previous: FilePosition): boolean {
    if (saved.ino === previous.ino || this.inodeAtPath() !== previous.ino) return false;
    const old = this.find(previous);
    if (old !== undefined) this.disk.close(old.fd);
    if (old?.isAtPath !== true) return false;
    const replaced = this.find(saved);
    if (replaced !== undefined) this.disk.close(replaced.fd);
    return replaced === undefined;
  }

  /** Called when kubelet has renamed the file. Creates the new file, but keeps the old one if the path still leads to it. */
  reopen(): void {
    // The old file must end neither in half a line nor with lines that will be in the new file.
    this.prepare();
    this.cutAhead();
    const opened = this.openPath();
    if (opened.facts.ino === this.ino) this.disk.close(opened.fd);
    else this.use(opened);
  }

  /**
   * Returns the name of the link to the spool that is used as the log. The link is at the path or, while kubelet rotates, next
   * to it. Returns undefined when there is no such link.
   */
  linkTo(spoolPath: string): string | undefined {
    return this.ifThere((held) => linkedName(this.disk, held, this.name, spoolPath));
  }

  hasLinkAtPath(spoolPath: string): boolean {
    return this.linkTo(spoolPath) === this.name;
  }

  removeLink(spoolPath: string): void {
    this.ifThere((held) => {
      const path = `${held}/${this.name}`;
      if (this.disk.linkAt(path) === spoolPath) this.disk.remove(path);
    });
  }

  /**
   * Whether a link to the spool is used as the log. If kubelet has renamed the link without a call to us, this puts it back.
   */
  isLinkTo(spoolPath: string): boolean {
    const found = this.linkTo(spoolPath);
    if (found === undefined || found === this.name) return found !== undefined;
    if (this.isAtPath) return false;
    this.ifThere((held) => this.disk.rename(`${held}/${found}`, `${held}/${this.name}`));
    return true;
  }

  /**
   * Replaces the link to the spool by a file of ours that begins with `first`, and opens the file. Without a link, creates the
   * file at the path.
   * @param commit saves the position. Called when the file is complete but has not replaced the link yet.
   */
  replaceLink(spoolPath: string, first: Buffer, commit: () => void): void {
    this.disk.inDirectory(this.directory, true, (held) => {
      const place = `${held}/${linkedName(this.disk, held, this.name, spoolPath) ?? this.name}`;
      const temporary = `${place}${TEMPORARY}`;
      this.disk.remove(temporary);
      this.use(this.openAt(temporary));
      try {
        this.append(first, first.length);
        commit();
        this.disk.rename(temporary, place);
      } catch (error) {
        this.disk.remove(temporary);
        throw error;
      }
    });
  }

  close(): void {
    const file = this.file;
    this.file = undefined;
    if (file !== undefined) this.disk.close(file.fd);
  }

  /** @param end offset at which to continue; by default the file's end. */
  private use(file: OpenFile, end = file.facts.size): void {
    this.close();
    this.file = file;
    this.torn = false;
    this.ahead = file.facts.size - end;
    this.measure(file.fd, end);
  }

  /** Returns how many of these bytes are already in the file, and cuts the file off where it differs from them. */
  private recognize(fd: number, lines: Buffer, length: number): number {
    if (this.ahead === 0) return 0;
    const found = Buffer.alloc(Math.min(length, this.ahead));
    const read = this.disk.read(fd, found, found.length, this.size);
    if (read === found.length && found.equals(lines.subarray(0, read))) return read;
    this.cutAhead();
    return 0;
  }

  /** Continues at the present end of the file, because somebody else has changed the file. */
  private wasChanged(fd: number, size: number): void {
    if (size > this.size) this.cutAhead();
    this.ahead = 0;
    this.measure(fd, Math.min(size, this.disk.facts(fd).size));
  }

  private measure(fd: number, size: number): void {
    this.size = size;
    this.window.readBefore(size, (into, at) => this.disk.read(fd, into, into.length, at));
  }

  private openPath(): OpenFile {
    return this.disk.inDirectory(this.directory, true, (held) => this.openAt(`${held}/${this.name}`));
  }

  private openAt(path: string): OpenFile {
    return this.opened(this.disk.openAppend(path));
  }

  private opened(fd: number): OpenFile {
    return { fd, facts: this.disk.facts(fd) };
  }

  private inodeAtPath(): string | undefined {
    return this.ifThere((held) => this.disk.inodeAt(`${held}/${this.name}`));
  }

  /** Runs work in the log's directory. Returns undefined when the directory does not exist. */
  private ifThere<T>(work: (held: string) => T): T | undefined {
    try {
      return this.disk.inDirectory(this.directory, false, work);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      return undefined;
    }
  }

  /** Opens the file of a saved position. It may be at the path, or next to it under the name that kubelet gave it. */
  private find(saved: FilePosition): (OpenFile & { readonly isAtPath: boolean }) | undefined {
    return this.ifThere((held) => {
      for (const name of keptBesideAs(this.disk, held, this.name, saved.ino)) {
        const fd = this.disk.openExisting(`${held}/${name}`);
        if (fd === undefined) continue;
        let isSaved = false;
        try {
          const file = this.opened(fd);
          isSaved = this.isSaved(fd, file.facts, saved);
          if (isSaved) return { ...file, isAtPath: name === this.name };
        } finally {
          if (!isSaved) this.disk.close(fd);
        }
      }
      return undefined;
    });
  }

  private isSaved(fd: number, facts: FileFacts, saved: FilePosition): boolean {
    if (facts.ino !== saved.ino || facts.size < saved.offset) return false;
    if (saved.window === '') return facts.birth === saved.birth;
    return endsWithWindow(saved.window, saved.offset, (into, at) =>
      this.disk.read(fd, into, into.length, at),
    );
  }
}
