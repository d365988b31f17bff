import type { Logger } from '../lib/logger';
import type { LogSource, LogStats } from './container-logs';
import { CriLog } from './cri-log';
import type { WorkMarker } from './hang-watch';
import { EARLIER_ELSEWHERE, formatNote, type TranslationBuffers } from './json-file-to-cri';
import type { LogDisk } from './log-disk';
import { CommitClock, findLastLine, type Place, type SavedPosition, type PositionStore } from './resume';
import { SpoolChain, SpoolCursor, type SpoolFile, type SpoolTarget } from './spool-chain';

/** How many bytes of earlier output are copied for a container that another runtime started. */
const MOST_BACK_BYTES = 50 * 1024 * 1024;
/** The number of chunks after which a loop ends, even if the Engine still writes. A spool contains fewer chunks. */
const MOST_STEPS = 10_000;

/** `more` means that `step` should be called again; `idle` means that the end of the spool was reached. */
export type StepOutcome = 'more' | 'idle';

/** Objects that all copies in one thread share. */
export interface SpoolCopyParts {
  readonly disk: LogDisk;
  readonly positions: PositionStore;
  readonly buffers: TranslationBuffers;
  readonly stats: LogStats;
  readonly logger: Logger;
  readonly marker: WorkMarker;
}

/**
 * Copies one container's spool into its CRI log, one chunk per step. All methods are synchronous, so no step is ever half done
 * between two calls. Each record is copied exactly once, because the saved position pairs a spool offset with a CRI log size,
 * and because nothing is appended unless the saved position names this very spool file and this very log file.
 */
export class SpoolCopy {
  private readonly chain: SpoolChain;
  private readonly log: CriLog;
  private readonly cursor = new SpoolCursor();
  private attached = false;
  /** Whether the log is a link to the spool, as cri-dockerd makes it. Then nothing is copied. */
  private linked = false;
  /** The position that is saved on disk. */
  private saved: SavedPosition | undefined;
  /** The position at which the log ended before the last reopen. */
  private previous: Place | undefined;
  /** Whether `start` was called for this log. Only then may files and directories be created. */
  private wanted = false;
  private readonly clock = new CommitClock();

  constructor(
    readonly source: LogSource,
    private readonly parts: SpoolCopyParts,
  ) {
    this.chain = new SpoolChain(source.spoolPath, parts.disk);
    this.log = new CriLog(source.logPath, parts.disk, source.logDirectory);
    this.saved = parts.positions.load(source.containerId);
    this.previous = this.saved?.previous;
  }

  /** Creates the CRI log if it is missing, and goes to the saved position. Throws the file system's errors. */
  start(): void {
    const isFirst = !this.wanted;
    this.wanted = true;
    const wasAttached = this.attached;
    if (this.attach()) {
      // `resume` has attached the copy without creating a missing log or following a renamed one.
      if (isFirst && wasAttached && this.log.isGone) this.log.prepare();
      else if (isFirst && wasAttached && !this.log.isAtPath) this.switchLog();
    } else if (!this.linked) {
      this.log.prepare();
    }
  }

  get isLinked(): boolean {
    return this.linked;
  }

  get hasLinkAtPath(): boolean {
    return this.log.hasLinkAtPath(this.source.spoolPath);
  }

  removeLink(): void {
    if (this.linked) this.log.removeLink(this.source.spoolPath);
  }

  /**
   * Replaces the link by a log of our own, even if kubelet has renamed the link. The new log begins where our last log ended,
   * but at most 50 MiB before the end of the spool. The usual steps fill it. Throws the file system's errors; the link then
   * stays.
   */
  takeOver(): void {
    const start = this.chain.openBack(this.saved?.spool, MOST_BACK_BYTES);
    try {
      const file = this.chain.current;
      this.cursor.toStart();
      if (file !== undefined && start !== undefined) this.cursor.jump(file, start.offset, this.parts.disk);
      const note = start?.isCut ? formatNote(EARLIER_ELSEWHERE, new Date()) : Buffer.alloc(0);
      this.previous = undefined;
      this.log.replaceLink(this.source.spoolPath, note, () => this.saveStrictly());
      [this.linked, this.attached] = [false, file !== undefined];
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Opens spool and log at the saved position before `start` is called. Creates nothing, because the container may be gone. Returns
   * false when spool or log is missing, or when the log is a link.
   */
  resume(): boolean {
    return this.log.linkTo(this.source.spoolPath) === undefined && this.attach();
  }

  /** Returns the position at which the spool ends now; undefined when there is no spool yet. */
  target(): SpoolTarget | undefined {
    return this.attach() ? this.chain.end() : undefined;
  }

  /** Number of bytes beyond our position in the spool files that are known so far. */
  get lagBytes(): number {
    return this.attached ? Math.max(0, this.chain.size() - this.cursor.offset) : 0;
  }

  hasPassed(target: SpoolTarget): boolean {
    return this.chain.current?.ino === target.ino
      ? this.cursor.offset >= target.offset
      : !this.chain.has(target.ino);
  }

  /** Copies one chunk. Throws the file system's errors; when it is called again, no output is lost or duplicated. */
  step(): StepOutcome {
    const outcome = this.copyChunk();
    if (this.clock.isDue) this.save();
    return outcome;
  }

  /** Milliseconds after which `step` must be called even if nothing happens, to save the position. */
  get dueIn(): number | undefined {
    return this.clock.dueIn;
  }

  /** Saves the position if it has changed. */
  commit(): void {
    if (this.clock.hasChanged) this.save();
  }

  /** Called after kubelet has renamed the file. Opens a new file at the path and saves the position. */
  reopen(): void {
    this.start();
    this.switchLog();
    try {
      this.save();
    } catch {
      // The old position is still valid, and `append` writes nothing to the new file before the new position is saved.
    }
  }

  /** Closes the files at the end of a quiet spool. The next step opens them again, at the saved position. */
  release(): void {
    if (!this.attached || this.clock.hasChanged || this.chain.hasNext) return;
    if (this.saved !== undefined || this.save()) this.close();
  }

  /** Copies what is left of the rotated spool files. Stops at the newest file, to which the log's link leads. */
  copyRotated(): void {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const end = this.target();
      if (end === undefined || end.ino === this.chain.current?.ino) break;
      this.step();
    }
    this.commit();
  }

  /** Closes the files. To keep the position, the caller commits first. */
  close(): void {
    this.chain.close();
    this.log.close();
    this.attached = false;
  }

  /** Opens the file at the path, whether or not it is new. */
  private switchLog(): void {
    this.log.prepare(); // The old file keeps no incomplete line
    const before = this.attached ? this.place() : undefined;
    this.log.reopen();
    if (before?.spool !== undefined && before.log.ino !== this.log.ino) this.previous = before;
    this.clock.change();
  }

  private copyChunk(): StepOutcome {
    if (!this.attach()) return 'idle';
    if (!this.wanted && this.log.isGone) return 'idle';
    this.chain.refresh();
    const file = this.chain.current;
    if (file === undefined) return 'idle';
    if (file.gapBefore) this.writeGap(file);
    // Look for a successor before reading: a file that already has one no longer grows, so the end that is read is final. A file
    // whose successor appears later may have grown after the read (SpoolChain).
    const isFinal = this.chain.hasNext;
    const { input } = this.parts.buffers;
    const length = this.parts.disk.read(file.fd, input, input.length, this.cursor.offset);
    // The check for a cut must follow the read. If the file was cut, what was just read is discarded; the gap is noted in the log
    // and the file is read again from its start.
    if (!this.cursor.isStillIn(file, this.parts.disk)) return this.wasCut(file);
    if (length === 0) {
      if (!isFinal) return this.idle();
      this.advance();
      return 'more';
    }
    if (!this.take(file, length)) {
      if (!isFinal) return this.idle();
      this.note("the last record of a rotated file of the Engine's log was incomplete", file);
      this.parts.stats.unreadable++;
      this.advance();
    }
    return isFinal || length === input.length ? 'more' : this.idle();
  }

  private attach(): boolean {
    if (this.linked) return false;
    if (this.attached) {
      if (!this.wasPutBack()) return true;
      this.close();
    }
    try {
      this.attached = this.openBoth();
    } finally {
      // The caller tries again from the saved position, so no files may stay open after a failed attempt.
      if (!this.attached) this.chain.close();
    }
    return this.attached;
  }

  /** Opens spool and log, each at the saved position. Returns false when one is missing or the log is a link. */
  private openBoth(): boolean {
    if (this.wanted && this.log.isLinkTo(this.source.spoolPath)) {
      this.linked = true;
      return false;
    }
    const place = this.lastPlace();
    const found = this.chain.open(place?.spool);
    if (found === undefined) return false;
    this.cursor.toStart();
    if (place === undefined || !found) {
      if (!this.wanted && !this.log.isAtPath) return false;
      this.log.open();
      if (!this.goOnAfterLastLine() && place === undefined) this.chain.suspectWrap(this.source.startedAt);
      return true;
    }
    // The log at the path is newer than the saved one: we were killed before a position in it could be saved (the disk was full).
    if (this.log.hasSuccessor(place.log)) {
      this.log.open();
      if (this.goOnAfterLastLine()) return true;
    }
    if (!this.log.resume(place.log, this.wanted)) return false;
    if (place.spool === undefined) this.chain.suspectWrap(this.source.startedAt);
    else this.cursor.restore(place.spool);
    return true;
  }

  /** Called when kubelet has renamed the old file over the file that we write to. */
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
    this.parts.logger.warn('kubelet put an old log back over the new one; copying the new lines again', {
      container: this.source.containerId,
    });
    this.previous = undefined;
    return saved.previous;
  }

  /** Begins a spool without a valid saved position. Returns true when the log ends with a record of this spool. */
  private goOnAfterLastLine(): boolean {
    const place = findLastLine(this.log.tail(), this.chain.all(), this.parts);
    if (place === undefined) return false;
    this.chain.advanceTo(place.file);
    this.cursor.jump(place.file, place.offset, this.parts.disk);
    this.clock.change();
    return true;
  }

  /** Translates and appends the records in `input`. Returns false when it contains no complete record. */
  private take(file: SpoolFile, length: number): boolean {
    const { buffers, stats } = this.parts;
    if (this.cursor.passingOver) return this.passOver(length);
    const { consumed, written, records, unreadable } = buffers.translate(length);
    if (consumed === 0) {
      if (length < buffers.input.length) return false;
      this.note("a record in the Engine's log was too long", file);
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

  /** Skips the rest of a record that does not fit into the buffer. */
  private passOver(length: number): boolean {
    const end = this.parts.buffers.input.subarray(0, length).indexOf(0x0a);
    this.cursor.passingOver = end < 0;
    this.moveBy(end < 0 ? length : end + 1);
    return true;
  }

  private moveBy(consumed: number): void {
    this.cursor.moveBy(this.parts.buffers.input, consumed);
    this.clock.change(consumed);
  }

  private idle(): StepOutcome {
    this.log.cutAhead();
    return 'idle';
  }

  /** Called when the spool was truncated in place (max-file=1, copytruncate). Output since our last read may be lost. */
  private wasCut(file: SpoolFile): StepOutcome {
    file.gapBefore = true;
    this.restart();
    return 'more';
  }

  private advance(): void {
    this.chain.advance();
    this.restart();
  }

  private restart(): void {
    this.cursor.toStart();
    this.clock.change();
  }

  private writeGap(file: SpoolFile): void {
    const { stats, logger } = this.parts;
    this.note('gap: the Engine discarded output before it was copied; its log had reached max-size', file);
    file.gapBefore = false;
    stats.gaps++;
    logger.warn('Docker Engine discarded container output before it was copied', {
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

  private save(): boolean {
    const position = this.toSave();
    if (position === undefined) return false;
    this.saved = position;
    this.clock.saved();
    if (this.parts.positions.keep(this.source.containerId, position)) return true;
    this.clock.change(); // The position is kept in memory until it can be saved
    return false;
  }

  /** Throws when the position cannot be written to disk. */
  private saveStrictly(): void {
    const position = this.toSave(true);
    if (position === undefined) return;
    this.parts.positions.save(this.source.containerId, position);
    this.saved = position;
    this.clock.saved();
  }

  private toSave(isFirst = false): SavedPosition | undefined {
    // The spool of the saved position has not appeared yet. Until it appears, the saved position must not change.
    if (!this.attached && this.saved !== undefined && !isFirst) return undefined;
    const place = this.place();
    if (place === undefined) return undefined;
    const { spoolPath, logPath, logDirectory } = this.source;
    return { ...place, previous: this.previous, paths: { spoolPath, logPath, logDirectory } };
  }

  private place(): Place | undefined {
    const log = this.log.position();
    const file = this.chain.current;
    return log && { spool: file && this.cursor.save(file), log };
  }
}
