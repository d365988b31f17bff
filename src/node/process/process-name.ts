import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * `PID START BOOT`: what no other process is ever called, for pids are reused, and start times (in clock ticks since the
 * boot) are after another boot. Undefined when no such process runs.
 */
export async function processName(pid: number | string): Promise<string | undefined> {
  try {
    return nameFrom(pid, await readFile(`/proc/${pid}/stat`, 'utf8'), await readFile(BOOT_ID, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The same at start, where nothing is kept waiting. */
export function processNameSync(pid: number | string): string | undefined {
  try {
    return nameFrom(pid, readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(BOOT_ID, 'utf8'));
  } catch {
    return undefined;
  }
}

function nameFrom(pid: number | string, stat: string, boot: string): string | undefined {
  // The second field is the command, which may hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const started = fields[19];
  if (started === undefined || fields[0] === 'Z') return undefined;
  return `${pid} ${started} ${boot.trim()}`;
}
