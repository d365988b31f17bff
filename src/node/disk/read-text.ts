import { readFile } from 'node:fs/promises';

/** A file of the kernel's; undefined when it cannot be read. */
export async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'latin1').catch(() => undefined);
}
