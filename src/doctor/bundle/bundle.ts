import { open, rm, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { waitAtMost } from '../../lib/async/deadline';
import { errnoOf, failedPrecondition, messageOf } from '../../lib/errors';
import { redactText } from './redact';

/** One file of a bundle. */
export interface Item {
  readonly name: string;
  /** Which part of a text is kept if the text is too long: the end of logs, the beginning of everything else. */
  readonly keeps: 'beginning' | 'end';
  /**
   * Reads the file's text.
   * @returns undefined if this node has no such data.
   */
  readonly read: () => Promise<string | undefined>;
}

/** The limits in characters, for one file and for all files together. */
const MAX_FILE = 2 << 20;
const MAX_ALL = 16 << 20;
const ROOT = 'dockbridge-bundle';
const MAX_NAME = 99 - ROOT.length;

/**
 * Reads all items at the same time. If one fails or hangs, only its own file is missing, and README.txt gives the reason. All
 * text is redacted with `redactText`, except JSON, which its reader has redacted value by value.
 * @param limitMs how long one item may take.
 */
export async function collect(items: readonly Item[], limitMs: number, head: string): Promise<ArchiveFile[]> {
  const read = await Promise.all(
    items.map(async ({ name, keeps, read: reading }) => {
      try {
        const text = await waitAtMost(`Reading for ${name}`, limitMs, reading());
        return text === undefined
          ? { name, why: 'there is none' }
          : { name, text: shortened(isJson(name) ? text : redactText(text), keeps) };
      } catch (error) {
        return { name, why: redactText(messageOf(error)) };
      }
    }),
  );
  const files: ArchiveFile[] = [];
  const notes: string[] = [];
  let room = MAX_ALL;
  for (const { name, text, why } of read) {
    if (text !== undefined && text.length <= room) {
      files.push({ name: placed(name), text });
      room -= text.length;
    } else notes.push(`${name}: ${why ?? 'left out, because the bundle would be too large'}`);
  }
  const missing =
    notes.length === 0 ? '' : `\nNot in this bundle:\n${notes.map((note) => `  ${note}\n`).join('')}`;
  return [{ name: placed('README.txt'), text: `${head}\n${missing}` }, ...files];
}

/** Whether the file is JSON. JSON is not redacted here, because `redactText` would also remove quotes and brackets. */
function isJson(name: string): boolean {
  return name.endsWith('.json');
}

function placed(name: string): string {
  return `${ROOT}/${name.slice(-MAX_NAME)}`;
}

function shortened(text: string, keeps: Item['keeps']): string {
  if (text.length <= MAX_FILE) return text;
  const left = `[${text.length - MAX_FILE} characters were left out here]\n`;
  return keeps === 'end' ? `${left}${text.slice(-MAX_FILE)}` : `${text.slice(0, MAX_FILE)}\n${left}`;
}

const BLOCK = 512;
const MODE = 0o600;

export interface ArchiveFile {
  readonly name: string;
  readonly text: string;
}

/** A tar archive that only its owner can read. The file is created immediately. */
export class Archive {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
  ) {}

  /**
   * Creates the archive at a path that does not exist yet.
   * @throws FAILED_PRECONDITION when the path exists already.
   */
  static async create(path: string): Promise<Archive> {
    try {
      return new Archive(path, await open(path, 'wx', MODE));
    } catch (error) {
      if (errnoOf(error) === 'EEXIST')
        throw failedPrecondition(`${path} exists already: choose another name, or remove it`);
      throw error;
    }
  }

  /**
   * Writes the files.
   * @returns the archive's size in bytes.
   */
  async write(files: readonly ArchiveFile[], time: Date): Promise<number> {
    const blocks = files.flatMap(({ name, text }) => entry(name, Buffer.from(text), time));
    const packed = await promisify(gzip)(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]));
    await this.file.writeFile(packed);
    await this.file.close();
    return packed.length;
  }

  /** Removes an archive that could not be written. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

/**
 * Returns one entry of a tar archive.
 * @param name of at most 100 bytes.
 */
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
