import { readdir, readFile } from 'node:fs/promises';

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  readonly state: string;
}

const ROUNDS = 20;
const ROUND_MS = 50;

/**
 * Kills a process, its descendants and its session, and waits (1 s at most) until they are gone.
 * @param belongs asked for each process right before the signal: pids are reused, and a wrong one must never be hit.
 * @param candidates the pids to look among; by default, and where it gives undefined, all of the machine's.
 * @returns whether all are gone.
 */
export async function killProcessTree(
  root: number,
  belongs: (pid: number) => Promise<boolean>,
  candidates: () => Promise<number[] | undefined> = () => Promise.resolve(undefined),
): Promise<boolean> {
  for (let round = 0; round < ROUNDS; round++) {
    const members = treeOf(root, await listProcesses(await candidates())).filter(
      (entry) => entry.state !== 'Z',
    );
    const ours = await filterAsync(members, (entry) => belongs(entry.pid));
    if (ours.length === 0) return true;
    for (const { pid } of ours) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  }
  return false;
}

function treeOf(root: number, all: readonly ProcessEntry[]): ProcessEntry[] {
  const members = new Map<number, ProcessEntry>();
  let grew = true;
  while (grew) {
    grew = false;
    for (const entry of all) {
      // An exec'd process leads a session of its own: its orphans keep the session id.
      const related = entry.pid === root || entry.session === root || members.has(entry.parent);
      if (related && !members.has(entry.pid)) {
        members.set(entry.pid, entry);
        grew = true;
      }
    }
  }
  return [...members.values()];
}

async function listProcesses(candidates: readonly number[] | undefined): Promise<ProcessEntry[]> {
  const pids = candidates?.map(String) ?? (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(pids.map(readEntry));
  return entries.filter((entry) => entry !== undefined);
}

async function readEntry(pid: string): Promise<ProcessEntry | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command's name is in parentheses and may hold anything, spaces and parentheses too.
    const [state = '', parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid: Number(pid), state, parent: Number(parent), session: Number(session) };
  } catch {
    return undefined;
  }
}

async function filterAsync<T>(items: readonly T[], keep: (item: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(items.map(keep));
  return items.filter((_, index) => kept[index]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone between the check and the signal.
  }
}
