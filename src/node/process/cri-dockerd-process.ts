import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { flagOf } from '../../lib/flags';

const NAME = 'cri-dockerd';
const OPTION = 'cri-dockerd-root-directory';
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
    // A flag without a value leaves the default.
    const given = flagOf((await read('cmdline')).split('\0'), OPTION);
    if (resolve(given === undefined || given === '' ? DEFAULT_ROOT : given) === resolve(root)) return true;
  }
  return false;
}
