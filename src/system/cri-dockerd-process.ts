import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

const NAME = 'cri-dockerd';
const OPTION = '--cri-dockerd-root-directory';
const DEFAULT_ROOT = '/var/lib/cri-dockerd';

/**
 * Whether a cri-dockerd runs whose root directory this is.
 * @param proc where /proc is; tests have their own.
 */
export async function isCriDockerdAt(root: string, proc = '/proc'): Promise<boolean> {
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    // A process that has ended meanwhile.
    const read = (file: string): Promise<string> =>
      readFile(`${proc}/${pid}/${file}`, 'utf8').catch(() => '');
    if ((await read('comm')).trim() !== NAME) continue;
    if (resolve(rootOf((await read('cmdline')).split('\0'))) === resolve(root)) return true;
  }
  return false;
}

/** The value of a flag on a command line; pflag takes `--flag value` and `--flag=value`. */
function rootOf(words: readonly string[]): string {
  const at = words.findLastIndex((word) => word === OPTION || word.startsWith(`${OPTION}=`));
  const word = words[at];
  if (word === undefined) return DEFAULT_ROOT;
  return word === OPTION ? (words[at + 1] ?? DEFAULT_ROOT) : word.slice(OPTION.length + 1);
}
