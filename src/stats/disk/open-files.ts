import { readdirSync, readlinkSync } from 'node:fs';

/** More open files than this in one container are not looked at: a count takes microseconds a file. */
const MOST = 50_000;

export interface OpenFiles {
  readonly files: number;
  readonly sockets: number;
}

/** Descriptors of the processes, and which of them are sockets. Synchronous, for a thread of its own. */
export function countOpenFiles(pids: readonly number[]): OpenFiles {
  let files = 0;
  let sockets = 0;
  for (const pid of pids) {
    const directory = `/proc/${pid}/fd`;
    for (const name of list(directory)) {
      files += 1;
      if (files <= MOST && target(`${directory}/${name}`).startsWith('socket:')) sockets += 1;
    }
  }
  return { files, sockets };
}

/** Empty for a process that has ended meanwhile. */
function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
