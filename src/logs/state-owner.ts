import * as fs from 'node:fs';
import { join } from 'node:path';
import { failedPrecondition } from '../lib/errors';

const FILE = 'owner';

/**
 * Makes sure that no second daemon works on these positions: it would write and cut the same logs. A killed owner
 * needs no clearing away: the file names a process by pid and start time. Synchronous: this is the first thing at start.
 * @throws FAILED_PRECONDITION
 */
export function claimState(directory: string): void {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, FILE);
  const [pid = '', started] = readText(path).split(' ');
  if (Number(pid) !== process.pid && /^\d+$/.test(pid) && startOf(pid) === started) {
    throw failedPrecondition(
      `another dockbridge, process ${pid}, uses ${directory}: stop it first, or give --state-dir`,
    );
  }
  fs.writeFileSync(`${path}.tmp`, `${process.pid} ${startOf('self') ?? ''}`, { mode: 0o600 });
  fs.renameSync(`${path}.tmp`, path);
}

/** In clock ticks since the boot, which tells reused pids; undefined when no such process runs. */
function startOf(pid: string): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field is the name, which may hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
