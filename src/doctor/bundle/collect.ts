import { waitAtMost } from '../../lib/async/deadline';
import { messageOf } from '../../lib/errors';
import type { ArchiveFile } from './archive';
import { redactText } from './redact';

/** One file of a bundle. */
export interface Item {
  readonly name: string;
  /** Where too long, logs keep their end and all else its beginning. */
  readonly keeps: 'beginning' | 'end';
  /** @returns undefined where this node has no such thing. */
  readonly read: () => Promise<string | undefined>;
}

/** Characters of one file, and of all. */
const MAX_FILE = 2 << 20;
const MAX_ALL = 16 << 20;
const ROOT = 'dockbridge-bundle';
const MAX_NAME = 99 - ROOT.length;

/**
 * Reads all items side by side. One that fails or hangs costs its own file alone: README.txt says why it is missing.
 * All text passes `redactText`, whatever its reader did, but for JSON, which readers have redacted value by value.
 * @param limitMs how long one may take.
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
    } else notes.push(`${name}: ${why ?? 'left out, for the bundle would be too large'}`);
  }
  const missing =
    notes.length === 0 ? '' : `\nNot in this bundle:\n${notes.map((note) => `  ${note}\n`).join('')}`;
  return [{ name: placed('README.txt'), text: `${head}\n${missing}` }, ...files];
}

/** `redactText` would take quotes and brackets along. */
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
