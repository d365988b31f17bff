import * as fs from 'node:fs';
import { join } from 'node:path';
import { failedPrecondition, messageOf } from './errors';

const FILE = 'owner';
const STOPPING = ' stopping';

/**
 * Makes sure that no second daemon works in this directory. A killed owner needs no clearing away: the file names a
 * process by boot, pid and start time. Synchronous: it comes first at start.
 * @param option that gives the directory.
 * @param mode of the directory, which is made when missing.
 * @throws FAILED_PRECONDITION
 */
export function claimDirectory(directory: string, option: string, mode: number): void {
  const change = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      throw failedPrecondition(`${directory} (--${option}) cannot be used: ${messageOf(error)}`);
    }
  };
  change(() => fs.mkdirSync(directory, { recursive: true, mode }));
  const path = join(directory, FILE);
  if (claimOf(directory) !== 'none') {
    const [pid] = readText(path).split(' ');
    throw failedPrecondition(
      `another dockbridge, process ${pid}, uses ${directory}: stop it first, or give --${option}`,
    );
  }
  change(() => {
    fs.writeFileSync(`${path}.tmp`, nameOf(String(process.pid)) ?? '', { mode: 0o600 });
    fs.renameSync(`${path}.tmp`, path);
  });
}

/** Whether another daemon that lives has the directory, and whether it has said that it is about to leave. */
export function claimOf(directory: string): 'none' | 'claimed' | 'stopping' {
  const text = readText(join(directory, FILE));
  const owner = text.replace(STOPPING, '');
  const [pid = ''] = owner.split(' ');
  if (Number(pid) === process.pid || !/^\d+$/.test(pid) || nameOf(pid) !== owner) return 'none';
  return owner === text ? 'claimed' : 'stopping';
}

/** Tells a daemon that starts meanwhile to wait for our end. */
export function announceStop(directory: string): void {
  try {
    fs.appendFileSync(join(directory, FILE), STOPPING);
  } catch {
    // A full disk: the next daemon is refused and comes again.
  }
}

/**
 * What no other process is ever called: pids are reused, and start times (in clock ticks since the boot) are after
 * another boot. Undefined when no such process runs.
 */
function nameOf(pid: string): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field is the command, which may hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const started = fields[19];
  if (started === undefined || fields[0] === 'Z') return undefined;
  return `${pid} ${started} ${readText('/proc/sys/kernel/random/boot_id').trim()}`;
}

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
