import { readFile } from 'node:fs/promises';
import { mapLimited } from '../../lib/async/concurrency';
import { parseProcessStat, processIds, type ProcessStat } from './process-info';

interface ProcessEntry extends ProcessStat {
  readonly pid: number;
}

/** Limits how many processes are read at once, because a node may have thousands. */
const CONCURRENT_READS = 16;
const ROUNDS = 20;
const ROUND_MS = 50;
/** The number of rounds in which leaves are killed, so that their parents have time to reap them. */
const LEAF_ROUNDS = 10;
const LEAF_MS = 10;
/** The largest number of a process's children that are examined. */
const LOOKED_AT = 256;

/**
 * Kills a process, its descendants and its session, and waits (1 s at most) until they are gone.
 * @param belongs called for each process right before the signal. It must return whether the process is still one of those to
 * kill, because pids are reused.
 * @param candidates the pids to search; by default, and when it returns undefined, all processes of the machine.
 * @param childrenFirst gives each parent time to reap its children before it is killed itself. If a parent is a shell, it may
 * begin its next command in that time.
 * @returns whether all these processes are gone.
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

/** Kills all processes but the root, starting from the leaves. */
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

/** Whether a process has children that have ended but that the process has not reaped. */
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
      // The session is searched too, because an exec'd process leads a session of its own, and orphans of the process keep the
      // session id.
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
    // The process ended between the check and the signal.
  }
}
