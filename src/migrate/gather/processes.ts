import { execFile } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { redactArguments } from '../../doctor/bundle/redact';
import { mapLimited } from '../../lib/async/concurrency';
import { readText } from '../../node/disk/files';
import { findProcesses, type NodeProcess } from '../../node/process/node-processes';
import { processIds } from '../../node/process/process-info';
import { parseLimits } from '../../node/process/process-limits';
import type { OpenFiles, ProcessFacts, ProgramFacts } from '../facts';

const CONCURRENCY = 16;
const SS_MS = 5_000;
const SS_BYTES = 8 << 20;
/** How many clients of the socket are reported. */
const MAX_CLIENTS = 100;
/** Programs whose connection to the Engine ends with the migration. */
const EXPECTED: ReadonlySet<string> = new Set(['dockerd', 'kubelet', 'cri-dockerd', 'dockbridge', 'systemd']);

export interface FoundProcesses {
  readonly facts: ProcessFacts;
  /** With all arguments, which may contain secrets. */
  readonly programs: readonly NodeProcess[];
  /** dockerd's own containerd and the node's. */
  readonly containerds: readonly { readonly pid: number; readonly args: readonly string[] }[];
}

/**
 * Finds the programs of the node and the clients of the Engine's socket.
 * @param socket the path of the Engine's socket; '' for an Engine elsewhere.
 * @param withClients whether `ss` of this machine shows the node's sockets.
 */
export async function readProcesses(
  proc: string,
  socket: string,
  withClients: boolean,
): Promise<FoundProcesses> {
  const programs = await findProcesses(proc);
  const containerds = await findContainerds(proc);
  const named = [...programs, ...containerds.map((one) => ({ name: 'containerd' as const, ...one }))];
  const facts = await mapLimited(named, CONCURRENCY, async ({ name, pid, args }): Promise<ProgramFacts> => {
    const openFiles = await openFilesOf(proc, pid);
    const groups = await readText(join(proc, String(pid), 'cgroup'));
    return {
      ...{ name, pid, args: redactArguments(args) },
      ...(groups === undefined ? {} : { unit: unitOf(groups) }),
      ...(openFiles === undefined ? {} : { openFiles }),
    };
  });
  const clients = withClients && socket !== '' ? parseClients(await unixSockets(), socket) : [];
  const expected = new Set([process.pid, ...named.map(({ pid }) => pid)]);
  return {
    programs,
    containerds,
    facts: {
      programs: facts.sort((a, b) => a.pid - b.pid),
      socketClients: clients
        .filter(({ pid, name }) => !expected.has(pid) && !EXPECTED.has(name))
        .slice(0, MAX_CLIENTS),
    },
  };
}

/** Returns the limits of a process; undefined when it is not visible. */
export async function openFilesOf(proc: string, pid: number): Promise<OpenFiles | undefined> {
  const limits = await readText(join(proc, String(pid), 'limits'));
  return limits === undefined ? undefined : parseLimits(limits).get('Max open files');
}

/**
 * Returns the service in whose control group a process is; '' for none. A service may have groups below its own.
 * @param groups the text of /proc/PID/cgroup.
 */
export function unitOf(groups: string): string {
  return /^\d+:(?:name=systemd)?:\/(?:[^/\n]+\.slice\/)*([^/\n]+\.service)(?:\/|$)/m.exec(groups)?.[1] ?? '';
}

/** Leaves out the containerd of containers, which is in other namespaces than this process and than the node's first one. */
async function findContainerds(proc: string): Promise<FoundProcesses['containerds']> {
  const spaceOf = (pid: string, kind: string): Promise<string> =>
    readlink(join(proc, pid, 'ns', kind)).catch(() => '');
  const isOurs = async (pid: string, kind: string): Promise<boolean> => {
    const theirs = await spaceOf(pid, kind);
    return ['', await spaceOf('self', kind), await spaceOf('1', kind)].includes(theirs);
  };
  const found = await mapLimited(await processIds(proc), CONCURRENCY, async (pid) => {
    if ((await readText(join(proc, pid, 'comm')))?.trim() !== 'containerd') return [];
    if (!(await isOurs(pid, 'pid')) || !(await isOurs(pid, 'mnt'))) return [];
    const words = ((await readText(join(proc, pid, 'cmdline'))) ?? '').split('\0').slice(1, -1);
    return [{ pid: Number(pid), args: words }];
  });
  return found.flat();
}

/** Lists the connections of Unix sockets with their processes; '' when the machine has no `ss`. */
async function unixSockets(): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: SS_MS, killSignal: 'SIGKILL', maxBuffer: SS_BYTES, cwd: '/' } as const;
    execFile('ss', ['-H', '-x', '-p', '-n'], options, (error, stdout) =>
      resolve(error === null ? stdout : ''),
    );
  });
}

/**
 * Finds the processes at the other end of connections to a socket. The Engine's end of a connection has the socket's path, and
 * the number of the client's end.
 * @param text the output of `ss -H -x -p -n`.
 */
export function parseClients(text: string, socket: string): { pid: number; name: string }[] {
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/));
  const wanted = new Set([
    socket,
    socket.replace(/^\/var\/run\//, '/run/'),
    socket.replace(/^\/run\//, '/var/run/'),
  ]);
  const ends = new Set(
    rows.flatMap(([, , , , path = '', , , peer = '']) => (wanted.has(path) ? [peer] : [])),
  );
  const clients = new Map<number, string>();
  for (const [, , , , path = '', port = '', , , ...users] of rows) {
    if (wanted.has(path) || !ends.has(port)) continue;
    for (const [, name = '', pid = ''] of users.join(' ').matchAll(/\("([^"]*)",pid=(\d+),fd=\d+\)/g))
      clients.set(Number(pid), name);
  }
  return [...clients].map(([pid, name]) => ({ pid, name })).sort((a, b) => a.pid - b.pid);
}
