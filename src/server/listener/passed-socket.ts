import { readFile, readlink } from 'node:fs/promises';
import { isSameSocket } from '../../node/disk/socket-file';

/** sd_listen_fds(3): the passed descriptors begin here. */
const FIRST_PASSED_FD = 3;

/**
 * The descriptor of the socket that systemd passed to this process; undefined when it passed none. sd_listen_fds(3): the
 * variables are meant for the process LISTEN_PID names, not for those that inherit them.
 */
export function passedSocket(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const count = Number(env.LISTEN_FDS);
  const isPassed = Number(env.LISTEN_PID) === pid && Number.isInteger(count) && count >= 1;
  return isPassed ? FIRST_PASSED_FD : undefined;
}

/**
 * Whether the descriptor listens at `path`, so that a file of our own there would only be in its way.
 * @param proc where /proc is; tests have their own.
 * @returns the other path where it does not.
 */
export async function listensAt(fd: number, path: string, proc = '/proc'): Promise<true | string> {
  const [, inode] = /^socket:\[(\d+)\]$/.exec(await readlink(`${proc}/self/fd/${fd}`)) ?? [];
  const line = (await readFile(`${proc}/net/unix`, 'utf8'))
    .split('\n')
    // Num RefCount Protocol Flags Type St Inode Path
    .find((row) => row.split(/\s+/)[6] === inode);
  const bound = line?.replace(/^(?:\S+\s+){7}/, '') ?? '';
  return isSameSocket(bound, path) || bound;
}
