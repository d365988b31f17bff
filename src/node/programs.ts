import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** The PATH of an Engine that systemd started. Our own PATH may differ from it. */
const USUAL = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * Whether a program is installed on this node.
 * @param path directories to search in addition to the usual ones, in the format of `PATH`.
 */
export async function hasProgram(
  name: string,
  path = '',
  usual: readonly string[] = USUAL,
): Promise<boolean> {
  for (const directory of [...path.split(':').filter((part) => part !== ''), ...usual]) {
    try {
      await access(join(directory, name), constants.X_OK);
      return true;
    } catch {
      // The program is not in this directory.
    }
  }
  return false;
}
