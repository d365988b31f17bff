import { open, rm, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { errnoOf, failedPrecondition } from '../../lib/errors';

const BLOCK = 512;
const MODE = 0o600;

export interface ArchiveFile {
  readonly name: string;
  readonly text: string;
}

/** A tar archive that is there from the first moment on, readable by its owner alone. */
export class Archive {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
  ) {}

  /** @throws FAILED_PRECONDITION when there is something at the path already. */
  static async create(path: string): Promise<Archive> {
    try {
      return new Archive(path, await open(path, 'wx', MODE));
    } catch (error) {
      if (errnoOf(error) === 'EEXIST')
        throw failedPrecondition(`${path} exists already: choose another name, or remove it`);
      throw error;
    }
  }

  /** @returns its size in bytes. */
  async write(files: readonly ArchiveFile[], time: Date): Promise<number> {
    const blocks = files.flatMap(({ name, text }) => entry(name, Buffer.from(text), time));
    const packed = await promisify(gzip)(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]));
    await this.file.writeFile(packed);
    await this.file.close();
    return packed.length;
  }

  /** Nothing stays behind of one that could not be written. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

/** @param name of at most 100 bytes. */
function entry(name: string, content: Buffer, time: Date): Buffer[] {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(name, 0, 100, 'utf8');
  header.write(octal(MODE, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(Math.floor(time.getTime() / 1000), 12), 136);
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const rest = content.length % BLOCK;
  return [header, content, Buffer.alloc(rest === 0 ? 0 : BLOCK - rest)];
}
