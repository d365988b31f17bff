import type { LogSource } from './container-logs';
import { formatNote } from './cri-line';
import { CommitClock } from './commit-clock';
import { CriLog } from './cri-log';
import type { FollowerParts } from './follower-parts';
import { findLastLine } from './lost-position';
import type { FilePosition, Place, SavedPosition } from './position';
import { SpoolChain, wasBornAfter, type SpoolFile, type SpoolTarget } from './spool-chain';
import { TailWindow } from './tail-window';

/** `more`: call again; `idle`: the end of the spool was reached. */
export type StepOutcome = 'more' | 'idle';

/**
 * Copies one container's spool into its CRI log, a chunk a step. All of it is synchronous, so between two calls
 * there is never a half-done step. What makes it exactly-once: the saved position pairs a spool offset with a CRI
 * log size, and nothing is appended unless the saved position names this very spool file and this very log file;
 * so after a kill, cutting the log back to its saved size undoes precisely what will be read again.
 */
export class Follower {
  private readonly chain: SpoolChain;
  private readonly log: CriLog;
  private readonly spoolWindow = new TailWindow();
  private offset = 0;
  private attached = false;
  private passingOver = false;
  /** What is on disk. */
  private saved: SavedPosition | undefined;
  /** Where the log ended before the last reopen, until the next one. */
  private previous: Place | undefined;
  /** Somebody asked for this log (`start`): files and directories may be made. */
  private wanted = false;
  private readonly clock = new CommitClock();

  constructor(
    readonly source: LogSource,
    private readonly parts: FollowerParts,
  ) {
    this.chain = new SpoolChain(source.spoolPath, parts.disk);
    this.log = new CriLog(source.logPath, parts.disk);
    this.saved = parts.positions.load(source.containerId);
    this.previous = this.saved?.previous;
  }

  /** Makes sure that the CRI log exists and goes to the saved position. Throws what the file system throws. */
  start(): void {
    const isFirst = !this.wanted;
    this.wanted = true;
    const wasAttached = this.attached;
    if (!this.attach()) this.log.prepare();
    else if (isFirst && wasAttached) this.makeAtPath();
  }

  /**
   * Goes to the saved position though nobody has asked yet (the daemon is starting), in files that exist: the
   * container may be gone, and its directory with it. False when there is nothing to go on with.
   */
  resume(): boolean {
    return this.attach();
  }

  /** What the spool holds now; undefined when there is no spool yet. */
  target(): SpoolTarget | undefined {
    return this.attach() ? this.chain.end() : undefined;
  }

  /** Bytes that the spool files known so far hold beyond our position. */
  get lagBytes(): number {
    return this.attached ? Math.max(0, this.chain.size() - this.offset) : 0;
  }

  hasPassed(target: SpoolTarget): boolean {
    return this.chain.current?.ino === target.ino
      ? this.offset >= target.offset
      : !this.chain.has(target.ino);
  }

  /** One chunk. Throws what the file system throws; nothing is lost or doubled when called again. */
  step(): StepOutcome {
    const outcome = this.copyChunk();
    if (this.clock.isDue) this.save();
    return outcome;
  }

  /** In how many milliseconds `step` wants to be called though nothing happened, to save the position. */
  get dueIn(): number | undefined {
    return this.clock.dueIn;
  }

  /** Saves the position if it has changed. */
  commit(): void {
    if (this.clock.hasChanged) this.save();
  }

  /** After kubelet's rename: a new file at the path, the position saved. */
  reopen(): void {
    this.start();
    this.switchLog();
    try {
      this.save();
    } catch {
      // The old position still holds: nothing goes into the new file before it has been saved (append).
    }
  }

  /** Lets go of the files; the caller commits before when it wants the position kept. */
  close(): void {
    this.chain.close();
    this.log.close();
    this.attached = false;
  }

  /** Opens the file at the path, new or not. */
  private switchLog(): void {
    // Leaves no half line behind in the old file.
    this.log.prepare();
    const before = this.attached ? this.place() : undefined;
    this.log.reopen();
    if (before?.spool !== undefined && before.log.ino !== this.log.ino) this.previous = before;
    this.clock.change();
  }

  /** What a resume before the first `start` left out. */
  private makeAtPath(): void {
    if (this.log.isGone) this.log.prepare();
    else if (!this.log.isAtPath) this.switchLog();
  }

  private copyChunk(): StepOutcome {
    if (!this.attach()) return 'idle';
    if (!this.wanted && this.log.isGone) return 'idle';
    this.chain.refresh();
    const file = this.chain.current;
    if (file === undefined) return 'idle';
    if (file.gapBefore) this.writeGap(file);
    // Asked before reading: only then is an end of file the file's final end (SpoolChain).
    const isFinal = this.chain.hasNext;
    const { input } = this.parts.buffers;
    const length = this.parts.disk.read(file.fd, input, input.length, this.offset);
    if (length === 0) return this.atEnd(file, isFinal);
    if (!this.take(file, length)) {
      if (!isFinal) return 'idle';
      this.note('the last record of a rotated file of the Engine was torn', file);
      this.parts.stats.unreadable++;
      this.advance();
    }
    return isFinal || length === input.length ? 'more' : 'idle';
  }

  private attach(): boolean {
    if (this.attached) {
      if (!this.wasPutBack()) return true;
      this.close();
    }
    try {
      this.attached = this.openBoth();
    } finally {
      // It is tried again, from the saved position: nothing may stay open from each time.
      if (!this.attached) this.chain.close();
    }
    return this.attached;
  }

  /** Spool and log, each at the saved position; false when either is not there. */
  private openBoth(): boolean {
    const place = this.lastPlace();
    const found = this.chain.open(place?.spool);
    if (found === undefined || !this.openLog(found ? place?.log : undefined)) return false;
    this.toStart();
    if (place?.spool === undefined) this.beginWithout(place);
    else if (found) {
      this.offset = place.spool.offset;
      this.spoolWindow.restore(place.spool.window);
    }
    return true;
  }

  private openLog(saved: FilePosition | undefined): boolean {
    if (saved !== undefined) return this.log.resume(saved, this.wanted);
    // The spool file of the saved position is gone: what the log has beyond that position cannot be read again.
    if (!this.wanted && !this.log.isAtPath) return false;
    this.log.open();
    return true;
  }

  /** Kubelet renamed the old file over the one that we write to. */
  private wasPutBack(): boolean {
    return (
      this.saved?.previous !== undefined &&
      this.log.isGone &&
      this.log.wasPutBack(this.saved.log, this.saved.previous.log)
    );
  }

  private lastPlace(): Place | undefined {
    const { saved } = this;
    if (saved?.previous === undefined || !this.log.wasPutBack(saved.log, saved.previous.log)) return saved;
    this.parts.logger.warn('container log was put back over its successor; copying the latter again', {
      container: this.source.containerId,
    });
    this.previous = undefined;
    return saved.previous;
  }

  /** No saved place: a log that ends with a record of this spool is continued after it, else all is taken. */
  private beginWithout(saved: Place | undefined): void {
    const place = saved === undefined && findLastLine(this.log.tail(), this.chain.all(), this.parts);
    const oldest = this.chain.current;
    if (place) {
      this.chain.advanceTo(place.file);
      this.offset = place.offset;
      this.clock.change();
    } else if (oldest !== undefined && wasBornAfter(oldest.birth, this.source.startedAt)) {
      oldest.gapBefore = true;
    }
  }

  /** Translates and appends what `input` holds; false when that is no whole record. */
  private take(file: SpoolFile, length: number): boolean {
    const { buffers, stats } = this.parts;
    if (this.passingOver) return this.passOver(length);
    const { consumed, written, records, unreadable } = buffers.translate(length);
    if (consumed === 0) {
      if (length < buffers.input.length) return false;
      this.note('a record of the Engine was too long', file);
      stats.unreadable++;
      return this.passOver(length);
    }
    this.append(file, buffers.output, written);
    this.moveBy(consumed);
    stats.records += records;
    stats.bytes += consumed;
    stats.unreadable += unreadable;
    return true;
  }

  /** Passes over the rest of a record that does not fit into the buffer. */
  private passOver(length: number): boolean {
    const end = this.parts.buffers.input.subarray(0, length).indexOf(0x0a);
    this.passingOver = end < 0;
    this.moveBy(end < 0 ? length : end + 1);
    return true;
  }

  private moveBy(consumed: number): void {
    this.spoolWindow.push(this.parts.buffers.input, consumed);
    this.offset += consumed;
    this.clock.change(consumed);
  }

  private atEnd(file: SpoolFile, isFinal: boolean): StepOutcome {
    if (isFinal) {
      this.advance();
      return 'more';
    }
    if (this.parts.disk.facts(file.fd).size >= this.offset) return 'idle';
    // Cut in place (max-file=1, or an admin): what was written since our last look may have gone with it.
    file.gapBefore = true;
    this.restart();
    return 'more';
  }

  private advance(): void {
    this.chain.advance();
    this.restart();
  }

  private restart(): void {
    this.toStart();
    this.clock.change();
  }

  private toStart(): void {
    this.offset = 0;
    this.passingOver = false;
    this.spoolWindow.clear();
  }

  private writeGap(file: SpoolFile): void {
    const { stats, logger } = this.parts;
    this.note("gap: the Engine discarded output before it could be copied here (its spool's max-size)", file);
    file.gapBefore = false;
    stats.gaps++;
    logger.warn('container output was discarded by the Engine before it was copied', {
      container: this.source.containerId,
      logPath: this.source.logPath,
    });
    this.save();
  }

  private note(text: string, file: SpoolFile): void {
    const line = formatNote(text, new Date());
    this.append(file, line, line.length);
  }

  private append(file: SpoolFile, lines: Buffer, length: number): void {
    this.log.prepare();
    if (this.saved?.spool?.ino !== file.ino || this.saved.log.ino !== this.log.ino) this.save();
    this.log.append(lines, length);
    this.clock.change();
  }

  private save(): void {
    // The spool of the saved position has not shown up yet: until then it must stay as it is.
    if (!this.attached && this.saved !== undefined) return;
    const place = this.place();
    if (place === undefined) return;
    const { spoolPath, logPath } = this.source;
    const position = { ...place, previous: this.previous, paths: { spoolPath, logPath } };
    this.parts.positions.save(this.source.containerId, position);
    this.saved = position;
    this.clock.saved();
  }

  private place(): Place | undefined {
    const log = this.log.position();
    if (log === undefined) return undefined;
    const file = this.chain.current;
    const spool = file && {
      ino: file.ino,
      birth: file.birth,
      offset: this.offset,
      window: this.spoolWindow.save(),
    };
    return { spool, log };
  }
}
