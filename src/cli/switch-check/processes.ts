import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { NodeProcess } from './facts';

/** The programs that have to do with pods, among all that run on this node but ourselves; not those of nodes in containers. */
export async function findProcesses(proc = '/proc'): Promise<NodeProcess[]> {
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const networkOf = (pid: string): Promise<string> => readlink(join(proc, pid, 'ns/net')).catch(() => '');
  const own = await networkOf('self');
  const found = await Promise.all(
    pids.map(async (pid) => {
      if ((await networkOf(pid)) !== own) return undefined;
      // Ended just now.
      const cmdline = await readFile(join(proc, pid, 'cmdline'), 'utf8').catch(() => '');
      return asNodeProcess(Number(pid), cmdline.split('\0').slice(0, -1));
    }),
  );
  return found.filter((one) => one !== undefined).sort((a, b) => a.pid - b.pid);
}

/** @param words the command and its arguments. */
export function asNodeProcess(pid: number, words: readonly string[]): NodeProcess | undefined {
  const [command = '', script = '', ...rest] = words;
  const name = basename(command);
  if (name === 'cri-dockerd' || name === 'kubelet') return { name, pid, args: words.slice(1) };
  if (name === 'dockbridge') return asDaemon(pid, words.slice(1));
  // Under Node.js, from wherever it was built to; many programs have a dist/main.js.
  const isOurs = /\/dockbridge(-[^/]*)?(\/dist\/main\.js)?$/.test(script);
  const isLikely = /(^|\/)dist\/main\.js$/.test(script) && rest[0] === 'serve';
  return name === 'node' && (isOurs || isLikely) ? asDaemon(pid, rest) : undefined;
}

/** Our other commands serve nobody. */
function asDaemon(pid: number, args: readonly string[]): NodeProcess | undefined {
  return args[0] === undefined || args[0] === 'serve' || args[0].startsWith('-')
    ? { name: 'dockbridge', pid, args }
    : undefined;
}
