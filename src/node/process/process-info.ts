import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { uptime } from 'node:os';
import { readText } from '../disk/files';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/**
 * The number of clock ticks per second in /proc/PID/stat (USER_HZ). It is the same on all architectures that dockbridge
 * supports.
 */
const TICKS_PER_SECOND = 100;

/** The fields of /proc/PID/stat (proc(5)) that dockbridge uses. */
export interface ProcessStat {
  /** True for a zombie: a process that has ended but that its parent has not reaped yet. */
  readonly hasEnded: boolean;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks from the boot to the start of the process; undefined when the text is cut off. */
  readonly startTicks: string | undefined;
}

/**
 * Parses the state of a process.
 * @param text of /proc/PID/stat.
 */
export function parseProcessStat(text: string): ProcessStat {
  // The name of the command is in parentheses and may contain any character, even spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent, , session] = fields;
  return {
    hasEnded: state === 'Z' || state === 'X',
    parent: Number(parent),
    session: Number(session),
    startTicks: fields[19],
  };
}

/**
 * Whether the process is a zombie.
 * @param proc the path of /proc; tests replace it.
 * @throws ENOENT or ESRCH when there is no such process.
 */
export async function hasEnded(pid: number, proc = '/proc'): Promise<boolean> {
  return parseProcessStat(await readFile(`${proc}/${pid}/stat`, 'utf8')).hasEnded;
}

/** Lists the pids of all processes of this machine, as text. */
export async function processIds(proc = '/proc'): Promise<string[]> {
  return (await readdir(proc)).filter((name) => /^\d+$/.test(name));
}

/** Returns an identifier of this boot of the machine. */
export async function bootId(): Promise<string> {
  return (await readFile(BOOT_ID, 'utf8')).trim();
}

/**
 * Returns `PID START BOOT`. This name identifies a process permanently, although pids are reused and start times begin again
 * with each boot.
 * @returns undefined when no such process runs.
 */
export async function processName(pid: number | string): Promise<string | undefined> {
  try {
    return nameFrom(pid, await readFile(`/proc/${pid}/stat`, 'utf8'), await bootId());
  } catch {
    return undefined;
  }
}

/** Like processName, but synchronous. It is only for the start of the daemon, when no other work has to wait. */
export function processNameSync(pid: number | string): string | undefined {
  try {
    return nameFrom(pid, readFileSync(`/proc/${pid}/stat`, 'utf8'), readFileSync(BOOT_ID, 'utf8').trim());
  } catch {
    return undefined;
  }
}

function nameFrom(pid: number | string, stat: string, boot: string): string | undefined {
  const { hasEnded, startTicks } = parseProcessStat(stat);
  return hasEnded || startTicks === undefined ? undefined : `${pid} ${startTicks} ${boot}`;
}

/**
 * Returns the milliseconds since the process started, with a precision of 10 ms; undefined when it has ended, whether reaped or
 * not.
 */
export async function processAgeMs(pid: number): Promise<number | undefined> {
  const text = await readText(`/proc/${pid}/stat`);
  const stat = text === undefined ? undefined : parseProcessStat(text);
  if (stat === undefined || stat.hasEnded) return undefined;
  return (uptime() - Number(stat.startTicks) / TICKS_PER_SECOND) * 1000;
}

/** Whether one of the process's outputs is a pipe or a terminal. */
export async function holdsOutput(pid: number): Promise<boolean> {
  const targets = await Promise.all([1, 2].map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return targets.some((target) => target.startsWith('pipe:') || target.startsWith('/dev/pts/'));
}
