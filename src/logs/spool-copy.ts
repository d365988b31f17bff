import type { Logger } from '../lib/logger';
import type { LogSource, LogStats } from './container-logs';
import { CriLog } from './cri-log';
import type { WorkMarker } from './hang-watch';
import { EARLIER_ELSEWHERE, formatNote, type TranslationBuffers } from './json-file-to-cri';
import type { LogDisk } from './log-disk';
import { CommitClock, findLastLine, type Place, type SavedPosition, type PositionStore } from './resume';
import { SpoolChain, SpoolCursor, type SpoolFile, type SpoolTarget } from './spool-chain';

/** How much earlier output the log of a container gets that another runtime started. */
const MOST_BACK_BYTES = 50 * 1024 * 1024;
/** Chunks of some GB together: more than any spool holds, and a bound if the Engine writes faster than we copy. */
const MOST_STEPS = 10_000;

/** `more`: call again; `idle`: the end of the spool was reached. */
export type StepOutcome = 'more' | 'idle';

/** What all copies of a thread share. */
export interface SpoolCopyParts {
  readonly disk: LogDisk;
  readonly positions: PositionStore;
  readonly buffers: TranslationBuffers;
  readonly stats: LogStats;
  readonly logger: Logger;
  readonly marker: WorkMarker;
}

/**
 * Copies one container's spool into its CRI log, one chunk per step. Everything is synchronous, so between two calls no step is
 * ever half done. What makes it exactly-once: the saved position pairs a spool offset with a CRI log size, and nothing is
 * appended unless the saved position names this very spool file and this very log file.
 */
export class SpoolCopy {
  private readonly chain: SpoolChain;
  private readonly log: CriLog;
  private readonly cursor = new SpoolCursor();
  private attached = false;
  /** A link to the spool stands in the log's place, as cri-dockerd makes it, and is left alone. */
  private linked = false;
  /** The position that is saved on disk. */
  private saved: SavedPosition | undefined;
  /** Where the log ended before the last reopen, until the next one. */
  private previous: Place | undefined;
  /** `start` was called for this log, so files and directories may be created. */
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

  /** Makes sure that the CRI log exists and goes to the saved position. Throws what the file system throws. */
  start(): void {
    const isFirst = !this.wanted;
    this.wanted = true;
    const wasAttached = this.attached;
    if (this.attach()) {
      // A resume before this first start did not do this.
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
   * Makes a log of our own in the place of the link, wherever kubelet renamed that to. It begins where our last one ended,
   * but at most 50 MiB back; the usual steps fill it. Throws what the file system throws: then the link stays.
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
   * Goes to the saved position though nobody has asked yet (the daemon is starting), in files that exist: the container may be
   * gone, and its directory with it. Returns false when there is nothing to continue with.
   */
  resume(): boolean {
    return this.log.linkTo(this.source.spoolPath) === undefined && this.attach();
  }

  /** What the spool holds now; undefined when there is no spool yet. */
  target(): SpoolTarget | undefined {
    return this.attach() ? this.chain.end() : undefined;
  }

  /** Bytes that the spool files known so far hold beyond our position. */
  get lagBytes(): number {
    return this.attached ? Math.max(0, this.chain.size() - this.cursor.offset) : 0;
  }

  hasPassed(target: SpoolTarget): boolean {
    return this.chain.current?.ino === target.ino
      ? this.cursor.offset >= target.offset
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
      // The old position still holds, and `append` writes nothing to the new file before the new one is saved.
    }
  }

  /** Lets go of the files at the end of a spool that is quiet; the next step opens them again, at the saved position. */
  release(): void {
    if (!this.attached || this.clock.hasChanged || this.chain.hasNext) return;
    if (this.saved !== undefined || this.save()) this.close();
  }

  /** Copies what the Engine has rotated away, however little of the newest file that leaves to be copied. */
  copyRotated(): void {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const end = this.target();
      if (end === undefined || end.ino === this.chain.current?.ino) break;
      this.step();
    }
    this.commit();
  }

  /** Lets go of the files; the caller commits before when it wants the position kept. */
  close(): void {
    this.chain.close();
    this.log.close();
    this.attached = false;
  }

  /** Opens the file at the path, new or not. */
  private switchLog(): void {
    this.log.prepare(); // leaves no half line behind in the old file
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
    // This is asked before reading, because only then is an end of file the file's final end (SpoolChain).
    const isFinal = this.chain.hasNext;
    const { input } = this.parts.buffers;
    const length = this.parts.disk.read(file.fd, input, input.length, this.cursor.offset);
    // This is asked after reading, so that nothing read from before a cut is used. It is read again, after a line that reports
    // the cut.
    if (!this.cursor.isStillIn(file, this.parts.disk)) return this.wasCut(file);
    if (length === 0) {
      if (!isFinal) return this.idle();
      this.advance();
      return 'more';
    }
    if (!this.take(file, length)) {
      if (!isFinal) return this.idle();
      this.note('the last record of a rotated file of the Engine was torn', file);
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
      // This is tried again from the saved position, so files must not stay open after each attempt.
      if (!this.attached) this.chain.close();
    }
    return this.attached;
  }

  /** Spool and log, each at the saved position; false when either is not there, or a link stands for the log. */
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
    // The position is older than the file at the path: it could not be saved any more (a full disk) before we were killed.
    if (this.log.hasSuccessor(place.log)) {
      this.log.open();
      if (this.goOnAfterLastLine()) return true;
    }
    if (!this.log.resume(place.log, this.wanted)) return false;
    if (place.spool === undefined) this.chain.suspectWrap(this.source.startedAt);
    else this.cursor.restore(place.spool);
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
    this.parts.logger.warn('kubelet put an old log back over the new one; copying the new lines again', {
      container: this.source.containerId,
    });
    this.previous = undefined;
    return saved.previous;
  }

  /** For a spool without a valid saved place. @returns true when the log ends with a record of this spool. */
  private goOnAfterLastLine(): boolean {
    const place = findLastLine(this.log.tail(), this.chain.all(), this.parts);
    if (place === undefined) return false;
    this.chain.advanceTo(place.file);
    this.cursor.jump(place.file, place.offset, this.parts.disk);
    this.clock.change();
    return true;
  }

  /** Translates and appends what `input` holds; false when that is no whole record. */
  private take(file: SpoolFile, length: number): boolean {
    const { buffers, stats } = this.parts;
    if (this.cursor.passingOver) return this.passOver(length);
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

  /** Cut in place (max-file=1, copytruncate, an administrator): what was written since our last look may have gone with it. */
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
    this.note("gap: the Engine discarded output before it could be copied here (its spool's max-size)", file);
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
    this.clock.change(); // it holds in memory until it can be saved
    return false;
  }

  /** Throws when the position does not get to disk. */
  private saveStrictly(): void {
    const position = this.toSave(true);
    if (position === undefined) return;
    this.parts.positions.save(this.source.containerId, position);
    this.saved = position;
    this.clock.saved();
  }

  private toSave(isFirst = false): SavedPosition | undefined {
    // The spool of the saved position has not shown up yet: until then it must stay as it is.
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
