import { readFile } from 'node:fs/promises';
import { mapLimited } from '../../lib/async/concurrency';
import { parseProcessStat, processIds, type ProcessStat } from './process-info';

interface ProcessEntry extends ProcessStat {
  readonly pid: number;
}

/** A node has thousands of processes: all their files open at once would be more than a process may have. */
const CONCURRENT_READS = 16;
const ROUNDS = 20;
const ROUND_MS = 50;
/** For parents to reap the children that are killed before them. */
const LEAF_ROUNDS = 10;
const LEAF_MS = 10;
/** As many of a process's children are looked at. */
const LOOKED_AT = 256;

/**
 * Kills a process, its descendants and its session, and waits (1 s at most) until they are gone.
 * @param belongs asked for each process right before the signal: pids are reused, and a wrong one must never be hit.
 * @param candidates the pids to look among; by default, and where it gives undefined, all of the machine's.
 * @param childrenFirst gives each parent the time to reap its children before it is killed itself. A shell may get to
 * its next command in that time.
 * @returns whether all are gone.
 */
export async function killProcessTree(
  root: number,
  belongs: (pid: number) => Promise<boolean>,
  candidates: () => Promise<number[] | undefined> = () => Promise.resolve(undefined),
  childrenFirst = false,
): Promise<boolean> {
  const look = async (): Promise<ProcessEntry[]> => treeOf(root, await listProcesses(await candidates()));
  if (childrenFirst) await killLeaves(root, belongs, look);
  for (let round = 0; round < ROUNDS; round++) {
    const members = (await look()).filter(isAlive);
    const ours = await filterAsync(members, (entry) => belongs(entry.pid));
    if (ours.length === 0) return true;
    for (const { pid } of ours) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  }
  return false;
}

/** Kills all but the root, from the leaves on, as long as there are any. */
async function killLeaves(
  root: number,
  belongs: (pid: number) => Promise<boolean>,
  look: () => Promise<ProcessEntry[]>,
): Promise<void> {
  for (let round = 0; round < LEAF_ROUNDS; round++) {
    const living = (await look()).filter(isAlive);
    const parents = new Set(living.map(({ parent }) => parent));
    const leaves = living.filter(({ pid }) => pid !== root && !parents.has(pid));
    if (leaves.length === 0) return;
    for (const { pid } of await filterAsync(leaves, (entry) => belongs(entry.pid))) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, LEAF_MS));
  }
}

/** Whether a process has children that have ended and that it does not reap. */
export async function hasUnreapedChildren(pid: number): Promise<boolean> {
  const zombies = async (): Promise<number[]> => {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    const children = text.split(' ').filter(Boolean).slice(0, LOOKED_AT);
    const entries = await Promise.all(children.map(readEntry));
    return entries.flatMap((entry) => (entry === undefined || isAlive(entry) ? [] : [entry.pid]));
  };
  const first = await zombies();
  if (first.length === 0) return false;
  await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  const second = new Set(await zombies());
  return first.some((zombie) => second.has(zombie));
}

function isAlive({ hasEnded }: ProcessEntry): boolean {
  return !hasEnded;
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
  const pids = candidates?.map(String) ?? (await processIds());
  const entries = await mapLimited(pids, CONCURRENT_READS, readEntry);
  return entries.filter((entry) => entry !== undefined);
}

async function readEntry(pid: string): Promise<ProcessEntry | undefined> {
  try {
    return { pid: Number(pid), ...parseProcessStat(await readFile(`/proc/${pid}/stat`, 'utf8')) };
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
