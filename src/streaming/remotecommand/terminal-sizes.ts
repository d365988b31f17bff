export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** Limit for an incomplete object, in characters. A size has about 30. */
const MAX_UNPARSED = 1024;
const MAX_SIDE = 0xffff;

/** The sizes of the client's terminal. Only the newest size counts. */
export class TerminalSizes {
  private unparsed = '';
  private latest: TerminalSize | undefined;
  private listener: ((size: TerminalSize) => void) | undefined;

  /**
   * Reads JSON objects such as `{"Width":80,"Height":24}`. They follow each other without separators and may be split
   * anywhere. Invalid objects are skipped.
   */
  write(text: string): void {
    this.unparsed += text;
    const objects = this.unparsed.split('}');
    this.unparsed = (objects.pop() ?? '').slice(0, MAX_UNPARSED);
    for (const object of objects) {
      const size = parseSize(`${object}}`);
      if (size === undefined) continue;
      this.latest = size;
      this.listener?.(size);
    }
  }

  /** Calls `listener` with each new size, and at once with the latest known size. */
  listen(listener: (size: TerminalSize) => void): void {
    this.listener = listener;
    if (this.latest !== undefined) listener(this.latest);
  }

  /**
   * Waits at most `ms` for a first size, because clients without a terminal never send a size.
   * @returns the newest size.
   */
  async first(ms: number, signal: AbortSignal): Promise<TerminalSize | undefined> {
    if (this.latest === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          this.listener = undefined;
          resolve();
        };
        const timer = setTimeout(end, ms);
        signal.addEventListener('abort', end);
        this.listener = end;
      });
    }
    return this.latest;
  }
}

function parseSize(json: string): TerminalSize | undefined {
  try {
    const { Width: width, Height: height } = JSON.parse(json) as { Width?: unknown; Height?: unknown };
    return isSide(width) && isSide(height) ? { width, height } : undefined;
  } catch {
    return undefined;
  }
}

function isSide(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MAX_SIDE;
}
