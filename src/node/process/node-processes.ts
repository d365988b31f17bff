import { readFile, readlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { mapLimited } from '../../lib/async/concurrency';
import { flagOf } from '../../lib/flags';
import { processIds } from './process-info';

/** A process that has to do with pods on this node. */
export interface NodeProcess {
  readonly name: 'cri-dockerd' | 'kubelet' | 'dockbridge' | 'dockerd';
  readonly pid: number;
  /** Without the command itself. */
  readonly args: readonly string[];
}

/** A node has thousands of processes: all their files open at once would be more than a process may have. */
const CONCURRENT_READS = 16;

/** The programs that have to do with pods, among all that run on this node but ourselves; not those of nodes in containers. */
export async function findProcesses(proc = '/proc'): Promise<NodeProcess[]> {
  const pids = (await processIds(proc)).filter((pid) => pid !== String(process.pid));
  const linkOf = (path: string): Promise<string> => readlink(join(proc, path)).catch(() => '');
  const own = await linkOf('self/ns/net');
  const found = await mapLimited(pids, CONCURRENT_READS, async (pid) => {
    if ((await linkOf(`${pid}/ns/net`)) !== own) return undefined;
    // Ended just now.
    const cmdline = await readFile(join(proc, pid, 'cmdline'), 'utf8').catch(() => '');
    const words = cmdline.split('\0').slice(0, -1);
    return (
      asNodeProcess(Number(pid), words) ??
      asNodeProcess(Number(pid), [await linkOf(`${pid}/exe`), ...words.slice(1)])
    );
  });
  return found.filter((one) => one !== undefined).sort((a, b) => a.pid - b.pid);
}

/** @param words the command and its arguments. */
export function asNodeProcess(pid: number, words: readonly string[]): NodeProcess | undefined {
  const [command = '', ...args] = words;
  // The kernel says so of a program that was replaced while it runs.
  const name = basename(command.replace(/ \(deleted\)$/, ''));
  if (name === 'cri-dockerd' || name === 'kubelet' || name === 'dockerd') return { name, pid, args };
  if (name === 'dockbridge') return asDaemon(pid, args);
  return name === 'node' ? underNode(pid, args) : undefined;
}

/** From wherever it was built to, or its package has it; many programs have a dist/main.js. */
function underNode(pid: number, args: readonly string[]): NodeProcess | undefined {
  const at = args.findIndex((word) => !word.startsWith('-'));
  const script = args[at] ?? '';
  const rest = args.slice(at + 1);
  const isOurs = /\/dockbridge(-[^/]*)?(\/(dist\/)?main\.js)?$/.test(script);
  const isLikely = /(^|\/)dist\/main\.js$/.test(script) && rest[0] === 'serve';
  return isOurs || isLikely ? asDaemon(pid, rest) : undefined;
}

/** Our other commands serve nobody. */
function asDaemon(pid: number, args: readonly string[]): NodeProcess | undefined {
  return args[0] === undefined || args[0] === 'serve' || args[0].startsWith('-')
    ? { name: 'dockbridge', pid, args }
    : undefined;
}

const NAME = 'cri-dockerd';
const OPTION = 'cri-dockerd-root-directory';
const DEFAULT_ROOT = '/var/lib/cri-dockerd';

/**
 * Whether a cri-dockerd runs whose root directory this is.
 * @param proc where /proc is; tests have their own.
 */
export async function isCriDockerdAt(root: string, proc = '/proc'): Promise<boolean> {
  for (const pid of await processIds(proc)) {
    // '' for a process that has ended meanwhile.
    const read = (file: string): Promise<string> =>
      readFile(`${proc}/${pid}/${file}`, 'utf8').catch(() => '');
    if ((await read('comm')).trim() !== NAME) continue;
    // A flag without a value leaves the default.
    const given = flagOf((await read('cmdline')).split('\0'), OPTION);
    if (resolve(given === undefined || given === '' ? DEFAULT_ROOT : given) === resolve(root)) return true;
  }
  return false;
}
