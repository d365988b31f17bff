import { readFile, readlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { mapLimited } from '../../lib/async/concurrency';
import { flagOf } from '../../lib/flags';
import { processIds } from './process-info';
import { parseProcessStatus } from './process-status';

/** A process that works on the pods of this node. */
export interface NodeProcess {
  readonly name: 'cri-dockerd' | 'kubelet' | 'dockbridge' | 'dockerd';
  readonly pid: number;
  /** The arguments, without the command itself. */
  readonly args: readonly string[];
}

type Namespace = 'net' | 'pid' | 'mnt';

/** Limits how many processes are read at once, because a node may have thousands. */
const CONCURRENT_READS = 16;

/**
 * Finds the programs that work on pods of this node. Leaves out this process and the programs of nodes that run in containers.
 * Also leaves out other users' programs: any user could name a program `dockbridge` and so make root read the files and sockets
 * in its arguments.
 */
export async function findProcesses(proc = '/proc'): Promise<NodeProcess[]> {
  const pids = (await processIds(proc)).filter((pid) => pid !== String(process.pid));
  const linkOf = (path: string): Promise<string> => readlink(join(proc, path)).catch(() => '');
  const spaceOf = (pid: string, kind: Namespace): Promise<string> => linkOf(`${pid}/ns/${kind}`);
  const own = {
    net: await spaceOf('self', 'net'),
    pid: await spaceOf('self', 'pid'),
    mnt: await spaceOf('self', 'mnt'),
  };
  const mayShare = async (pid: string, kind: Namespace): Promise<boolean> => {
    const theirs = await spaceOf(pid, kind);
    return theirs === '' || own[kind] === '' || theirs === own[kind];
  };
  const found = await mapLimited(pids, CONCURRENT_READS, async (pid) => {
    if ((await spaceOf(pid, 'net')) !== own.net || !(await mayShare(pid, 'pid'))) return undefined;
    // The result is '' for a process that has just ended.
    const read = (file: string): Promise<string> => readFile(join(proc, pid, file), 'utf8').catch(() => '');
    const words = (await read('cmdline')).split('\0').slice(0, -1);
    const one =
      asNodeProcess(Number(pid), words) ??
      asNodeProcess(Number(pid), [await linkOf(`${pid}/exe`), ...words.slice(1)]);
    if (one === undefined || !isTrusted(await read('status'))) return undefined;
    // dockbridge's unit has no mount namespace of its own, so a dockbridge in another mount namespace runs in a container. A
    // kubelet of this node may well run in a container with the host's network, so its mount namespace proves nothing.
    return one.name !== 'dockbridge' || (await mayShare(pid, 'mnt')) ? one : undefined;
  });
  return found.filter((one) => one !== undefined).sort((a, b) => a.pid - b.pid);
}

/**
 * Whether all user IDs of a process are root's, or all are ours. The owner of the process's files in /proc proves nothing,
 * because root owns those of every process that may not be dumped. A single user ID proves nothing either, because the user who
 * starts a setuid program chooses its name and arguments.
 * @param status the text of /proc/PID/status.
 */
function isTrusted(status: string): boolean {
  const ids = parseProcessStatus(status).uids;
  const trusted = [0, process.geteuid?.() ?? 0];
  return ids.length > 0 && trusted.some((user) => ids.every((id) => id === user));
}

/**
 * Recognizes a program that works on the pods of this node.
 * @param words the command and its arguments.
 */
export function asNodeProcess(pid: number, words: readonly string[]): NodeProcess | undefined {
  const [command = '', ...args] = words;
  // The kernel appends " (deleted)" to the path of a running program whose file was replaced.
  const name = basename(command.replace(/ \(deleted\)$/, ''));
  if (name === 'cri-dockerd' || name === 'kubelet' || name === 'dockerd') return { name, pid, args };
  if (name === 'dockbridge') return asDaemon(pid, args);
  return name === 'node' ? underNode(pid, args) : undefined;
}

/**
 * Recognizes dockbridge by the path of its build or package. Other programs also have a dist/main.js, so a dist/main.js in any
 * other place counts only with `serve`.
 */
function underNode(pid: number, args: readonly string[]): NodeProcess | undefined {
  const at = args.findIndex((word) => !word.startsWith('-'));
  const script = args[at] ?? '';
  const rest = args.slice(at + 1);
  const isOurs = /\/dockbridge(-[^/]*)?(\/(dist\/)?main\.js)?$/.test(script);
  const isLikely = /(^|\/)dist\/main\.js$/.test(script) && rest[0] === 'serve';
  return isOurs || isLikely ? asDaemon(pid, rest) : undefined;
}

/** Accepts only `serve`, which is also the default command, because dockbridge's other commands do not serve pods. */
function asDaemon(pid: number, args: readonly string[]): NodeProcess | undefined {
  return args[0] === undefined || args[0] === 'serve' || args[0].startsWith('-')
    ? { name: 'dockbridge', pid, args }
    : undefined;
}

const NAME = 'cri-dockerd';
const OPTION = 'cri-dockerd-root-directory';
const DEFAULT_ROOT = '/var/lib/cri-dockerd';

/**
 * Whether a cri-dockerd with this root directory is running.
 * @param proc the path of /proc; tests replace it.
 */
export async function isCriDockerdAt(root: string, proc = '/proc'): Promise<boolean> {
  for (const pid of await processIds(proc)) {
    // The result is '' for a process that has ended.
    const read = (file: string): Promise<string> =>
      readFile(`${proc}/${pid}/${file}`, 'utf8').catch(() => '');
    if ((await read('comm')).trim() !== NAME) continue;
    // A flag without a value means the default.
    const given = flagOf((await read('cmdline')).split('\0'), OPTION);
    if (resolve(given === undefined || given === '' ? DEFAULT_ROOT : given) === resolve(root)) return true;
  }
  return false;
}
