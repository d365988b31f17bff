import { constants, fstatSync, open, write } from 'node:fs';

/** How many characters may wait for a reader. A daemon with many errors writes this much in a few seconds. */
const MOST_WAITING = 1024 * 1024;

/** Writes text, and calls `done` when the text is written. */
export type WriteText = (text: string, done: (error: Error | null | undefined) => void) => void;

/**
 * The destination of log lines. Neither a slow, stalled or dead reader nor a full disk ever blocks a caller: lines wait up to a
 * limit. Beyond the limit, further lines are dropped and counted.
 */
export class LogOutput {
  private waiting: string[] = [];
  private waitingLength = 0;
  private busy = false;
  private lost = 0;
  private unreported = 0;
  private readonly idle = new Set<() => void>();

  constructor(
    private readonly writeText: WriteText,
    private readonly mostWaiting = MOST_WAITING,
  ) {}

  /** The number of lines that have been dropped so far. */
  get dropped(): number {
    return this.lost;
  }

  /** Writes a line, or queues or drops it. Returns immediately. */
  write(line: string): void {
    if (this.waitingLength + line.length > this.mostWaiting) {
      this.drop(1);
      return;
    }
    this.waiting.push(line);
    this.waitingLength += line.length;
    this.pump();
  }

  /** Returns how many lines were dropped since the last call; 0 while a write is in progress, because it may never end. */
  takeLost(): number {
    if (this.busy) return 0;
    const lost = this.unreported;
    this.unreported = 0;
    return lost;
  }

  /** Resolves when everything is written or cannot be written, but after `ms` at the latest. */
  async flush(ms: number): Promise<void> {
    if (!this.busy) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.idle.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.idle.add(end);
    });
  }

  private pump(): void {
    if (this.busy) return;
    if (this.waiting.length === 0) {
      for (const tell of this.idle) tell();
      return;
    }
    const lines = this.waiting;
    this.waiting = [];
    this.waitingLength = 0;
    this.busy = true;
    this.writeText(lines.join(''), (error) => {
      this.busy = false;
      if (error !== null && error !== undefined) this.drop(lines.length);
      this.pump();
    });
  }

  private drop(lines: number): void {
    this.lost += lines;
    this.unreported += lines;
  }
}

/**
 * Writes to standard error, whatever kind of file it is. Node writes to pipes and sockets without blocking, but it blocks on
 * files and terminals. One of libuv's threads therefore writes to files and terminals. The thread does not wait for a terminal
 * that was stopped (Ctrl-S).
 */
export function standardError(): LogOutput {
  const { stderr } = process;
  // Each write reports its own failure, so this listener does nothing. Without it, a dead reader would cause an uncaught
  // exception.
  stderr.on('error', () => undefined);
  const kind = fstatSync(2);
  if (kind.isFIFO() || kind.isSocket()) return new LogOutput((text, done) => stderr.write(text, done));
  return new LogOutput(toDescriptor());
}

function toDescriptor(): WriteText {
  let descriptor: number | undefined;
  return (text, done) => {
    if (descriptor !== undefined) {
      writeAll(descriptor, Buffer.from(text), done);
      return;
    }
    // A new file description is opened, so that O_NONBLOCK does not affect processes that share the old description.
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
    open('/proc/self/fd/2', flags, (error, opened) => {
      descriptor = error === null ? opened : 2;
      writeAll(descriptor, Buffer.from(text), done);
    });
  };
}

function writeAll(descriptor: number, bytes: Buffer, done: Parameters<WriteText>[1]): void {
  write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
    if (error !== null || written >= bytes.length) done(error);
    else writeAll(descriptor, bytes.subarray(written), done);
  });
}
