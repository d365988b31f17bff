import { readFile, readlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { mapLimited } from '../../lib/async/concurrency';
import { flagOf } from '../../lib/flags';
import { processIds } from './process-info';

/** A process that works on the pods of this node. */
export interface NodeProcess {
  readonly name: 'cri-dockerd' | 'kubelet' | 'dockbridge' | 'dockerd';
  readonly pid: number;
  /** The arguments, without the command itself. */
  readonly args: readonly string[];
}

/** A node has thousands of processes, whose files must not all be open at once. */
const CONCURRENT_READS = 16;

/** Finds the programs that work on pods, except this process and those of nodes in containers. */
export async function findProcesses(proc = '/proc'): Promise<NodeProcess[]> {
  const pids = (await processIds(proc)).filter((pid) => pid !== String(process.pid));
  const linkOf = (path: string): Promise<string> => readlink(join(proc, path)).catch(() => '');
  const own = await linkOf('self/ns/net');
  const found = await mapLimited(pids, CONCURRENT_READS, async (pid) => {
    if ((await linkOf(`${pid}/ns/net`)) !== own) return undefined;
    // '' for a process that has just ended.
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
  // The kernel adds this to the path of a program that was replaced while it runs.
  const name = basename(command.replace(/ \(deleted\)$/, ''));
  if (name === 'cri-dockerd' || name === 'kubelet' || name === 'dockerd') return { name, pid, args };
  if (name === 'dockbridge') return asDaemon(pid, args);
  return name === 'node' ? underNode(pid, args) : undefined;
}

/** Finds dockbridge by the path of its build or package. Other programs also have a dist/main.js. */
function underNode(pid: number, args: readonly string[]): NodeProcess | undefined {
  const at = args.findIndex((word) => !word.startsWith('-'));
  const script = args[at] ?? '';
  const rest = args.slice(at + 1);
  const isOurs = /\/dockbridge(-[^/]*)?(\/(dist\/)?main\.js)?$/.test(script);
  const isLikely = /(^|\/)dist\/main\.js$/.test(script) && rest[0] === 'serve';
  return isOurs || isLikely ? asDaemon(pid, rest) : undefined;
}

/** dockbridge's other commands do not serve pods. */
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
