import { uptime } from 'node:os';
import { readlink } from 'node:fs/promises';
import { readText } from '../disk/read-text';

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
