import * as fs from 'node:fs';

export interface RotationOptions {
  /** Rotates before a write when the file has reached this size, as moby does. */
  readonly maxSize?: number;
  readonly maxFile?: number;
}

/** Escapes a json-file text as Docker does (moby daemon/logger/jsonfilelog/jsonlog). */
export function dockerEscape(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('utf8'))
    .slice(1, -1)
    .replace(/\\b/g, '\\u0008')
    .replace(/\\f/g, '\\u000c')
    .replace(/\\t/g, '\\u0009')
    .replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/\ufffd/g, '\\ufffd');
}

/**
 * Writes a spool as dockerd's json-file driver does, with one write per record and rotation between two
 * records.
 */
export class FakeDockerLog {
  private fd: number;
  private size: number;
  private clock = 1_700_000_000_000_000_000n;
  rotations = 0;

  constructor(
    readonly path: string,
    private readonly options: RotationOptions = {},
  ) {
    this.fd = fs.openSync(path, 'a');
    this.size = fs.fstatSync(this.fd).size;
  }

  /**
   * Writes `text`, which has no line break, and returns its record. `partial` says that Docker split the line
   * at 16 KiB.
   */
  write(text: string | Buffer, stream: 'stdout' | 'stderr' = 'stdout', partial = false): string {
    const escaped = dockerEscape(Buffer.from(text));
    const record = `{"log":"${escaped}${partial ? '' : '\\n'}","stream":"${stream}","time":"${this.time()}"}\n`;
    this.raw(record);
    return record;
  }

  raw(record: string | Buffer): void {
    const { maxSize } = this.options;
    if (maxSize !== undefined && this.size >= maxSize) this.rotate();
    this.size += fs.writeSync(this.fd, Buffer.from(record));
  }

  rotate(): void {
    const maxFile = this.options.maxFile ?? 1;
    fs.closeSync(this.fd);
    if (maxFile >= 2) {
      fs.rmSync(`${this.path}.${maxFile - 1}`, { force: true });
      for (let i = maxFile - 1; i > 1; i--) {
        if (fs.existsSync(`${this.path}.${i - 1}`))
          fs.renameSync(`${this.path}.${i - 1}`, `${this.path}.${i}`);
      }
      fs.renameSync(this.path, `${this.path}.1`);
    }
    this.fd = fs.openSync(this.path, 'w');
    this.size = 0;
    this.rotations++;
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  /** Formats a time as RFC3339Nano without trailing zeros, as Go does. */
  private time(): string {
    this.clock += 1_234_567n;
    const seconds = new Date(Number(this.clock / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
    const fraction = String(this.clock % 1_000_000_000n)
      .padStart(9, '0')
      .replace(/0+$/, '');
    return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`;
  }
}
