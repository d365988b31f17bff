import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { errnoOf, failedPrecondition } from '../lib/errors';
import { compareIdentities, fullName, parseFileName } from './names';
import type { InstalledPlugin } from './plugin';

/** The longest configuration of a plugin. It has to fit in one message with room for the rest. */
const MAX_CONFIG_BYTES = 1024 * 1024;
const EXECUTABLE = 0o111;
/** The plugin's end of the connection. NRI passes the first descriptor after standard input, output and error. */
const SOCKET_FD = 3;

/**
 * Finds the plugins in a directory: executable files with names like `10-logger`.
 * @returns the plugins in order; none if the directory does not exist.
 * @throws RuntimeError FAILED_PRECONDITION for an executable file with another name, as in NRI, and for a configuration that is too long.
 */
export async function findInstalled(pluginDir: string, configDir: string): Promise<InstalledPlugin[]> {
  const plugins: InstalledPlugin[] = [];
  for (const file of await namesIn(pluginDir)) {
    const path = join(pluginDir, file);
    const stats = await unlessMissing(stat(path));
    if (stats === undefined || stats.isDirectory() || (stats.mode & EXECUTABLE) === 0) continue;
    const identity = parseFileName(file);
    if (identity === undefined)
      throw failedPrecondition(
        `${path} is executable, but its name is not like 10-logger: rename or remove it`,
      );
    plugins.push({ ...identity, config: await readConfig(configDir, fullName(identity), identity.name) });
  }
  return plugins.sort(compareIdentities);
}

async function namesIn(directory: string): Promise<string[]> {
  return (await unlessMissing(readdir(directory))) ?? [];
}

/** Returns the first file that exists: the one for this index, or the one for all indexes. */
async function readConfig(configDir: string, full: string, name: string): Promise<string> {
  for (const file of [`${full}.conf`, `${name}.conf`]) {
    const path = join(configDir, file);
    const stats = await unlessMissing(stat(path));
    if (stats === undefined) continue;
    if (stats.size > MAX_CONFIG_BYTES)
      throw failedPrecondition(`${path} has ${stats.size} bytes; at most ${MAX_CONFIG_BYTES} are allowed`);
    return readFile(path, 'utf8');
  }
  return '';
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A plugin's process, and our end of its connection. */
export interface RunningPlugin {
  readonly socket: Duplex;
  /** Kills the process. It gets no other signal: NRI kills plugins too. */
  kill(): void;
  readonly ended: Promise<void>;
}

/**
 * Starts a plugin as NRI does: with three variables, without standard input and output, and with a connected socket as descriptor 3.
 * It is not started again when it ends.
 * @throws the system's error when the file cannot be run.
 */
export async function launch(pluginDir: string, plugin: InstalledPlugin): Promise<RunningPlugin> {
  const child = spawn(join(pluginDir, fullName(plugin)), [], {
    cwd: '/',
    env: {
      NRI_PLUGIN_NAME: plugin.name,
      NRI_PLUGIN_IDX: plugin.index,
      NRI_PLUGIN_SOCKET: String(SOCKET_FD),
    },
    // Node.js makes a pair of connected Unix sockets for this kind of "pipe".
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const ended = endOf(child);
  await once(child, 'spawn');
  return {
    socket: child.stdio[SOCKET_FD] as Duplex,
    kill: () => void child.kill('SIGKILL'),
    ended,
  };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
}
