import { readFileSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { uptime } from 'node:os';
import { readText } from '../disk/files';

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

/** The unit of times in /proc/PID/stat: USER_HZ, the same on all architectures that we run on. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat after the command's name: state is the first of them, starttime the twentieth. */
const START_TIME = 19;

/** Milliseconds since the process began, 10 ms exact; undefined for one that has ended, reaped or not. */
export async function processAgeMs(pid: number): Promise<number | undefined> {
  const stat = await readText(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command's name is in parentheses and may hold anything, spaces and parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return (uptime() - Number(fields[START_TIME]) / TICKS_PER_SECOND) * 1000;
}

/** Whether the process has a pipe or a terminal for one of its outputs. */
export async function holdsOutput(pid: number): Promise<boolean> {
  const targets = await Promise.all([1, 2].map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return targets.some((target) => target.startsWith('pipe:') || target.startsWith('/dev/pts/'));
}
