import { Demultiplexer, type StreamKind } from '../../docker/streams';
import { RuntimeError } from '../../lib/errors';

/**
 * Limit of one output. kubelet accepts messages of at most 16 MiB, and the rest of an ExecSync answer needs a few bytes.
 */
const MESSAGE_BYTES = 16 * 1024 * 1024 - 1024;

const FIRST_BYTES = 4 * 1024;
const LARGEST_BYTES = 256 * 1024;
/** Limit of the output of all running commands together, not counting the share that each command has. */
const ALL_BYTES = 128 * 1024 * 1024;
/**
 * The share that each command always has, so that other commands cannot make a probe fail. kubelet reads only 10 KiB of a
 * probe's output.
 */
const SHARE_BYTES = 64 * 1024;

/** The memory that the outputs of all ExecSync calls share. */
export class OutputBudget {
  private used = 0;

  constructor(private readonly limit = ALL_BYTES) {}

  /**
   * Takes memory from the budget.
   * @returns false when less than `bytes` is left.
   */
  take(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false;
    this.used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.used -= bytes;
  }
}

/** Data in pieces of growing size, so that a command that writes single bytes does not need an object for each byte. */
class Pieces {
  private readonly pieces: Buffer[] = [];
  private last = Buffer.alloc(0);
  private used = 0;

  /**
   * Appends data.
   * @param allow called before memory is allocated. If it returns false, the rest of the data is dropped.
   */
  append(data: Buffer, allow: (bytes: number) => boolean): void {
    let at = 0;
    while (at < data.length) {
      if (this.used === this.last.length) {
        const size = Math.min(Math.max(2 * this.last.length, FIRST_BYTES), LARGEST_BYTES);
        if (!allow(size)) return;
        this.pieces.push((this.last = Buffer.allocUnsafe(size)));
        this.used = 0;
      }
      const copied = data.copy(this.last, this.used, at);
      this.used += copied;
      at += copied;
    }
  }

  get content(): Buffer {
    return Buffer.concat([...this.pieces.slice(0, -1), this.last.subarray(0, this.used)]);
  }
}

/** stdout and stderr of a command. Together they contain at most what one CRI message can carry; the rest is dropped. */
export class CapturedOutput {
  private readonly streams: Record<StreamKind, Pieces> = { 1: new Pieces(), 2: new Pieces() };
  private room = MESSAGE_BYTES;
  private taken = 0;
  private borrowed = 0;
  private isShort = false;
  private readonly demultiplexer = new Demultiplexer((kind, data) => {
    const kept = data.subarray(0, this.room);
    this.room -= kept.length;
    this.streams[kind].append(kept, this.allow);
  });

  constructor(private readonly budget: OutputBudget) {}

  write(chunk: Buffer): void {
    this.demultiplexer.write(chunk);
  }

  /** Whether the data so far ends at the end of one of the Engine's frames. */
  get isWhole(): boolean {
    return this.demultiplexer.isWhole;
  }

  /**
   * Returns the output that was kept.
   * @throws RESOURCE_EXHAUSTED when the outputs of other commands left no room for this output.
   */
  finish(): { stdout: Buffer; stderr: Buffer } {
    if (this.isShort)
      throw new RuntimeError(
        'RESOURCE_EXHAUSTED',
        'the outputs of all running commands use too much memory, so this output was dropped',
      );
    return { stdout: this.streams[1].content, stderr: this.streams[2].content };
  }

  /** Returns the memory to the budget. `write` must not be called afterwards. */
  release(): void {
    this.budget.give(this.borrowed);
    this.borrowed = 0;
  }

  private readonly allow = (bytes: number): boolean => {
    const borrow = this.taken + bytes > SHARE_BYTES;
    this.isShort ||= borrow && !this.budget.take(bytes);
    if (this.isShort) return false;
    this.taken += bytes;
    if (borrow) this.borrowed += bytes;
    return true;
  };
}
