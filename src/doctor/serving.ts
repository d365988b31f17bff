import { readFile } from 'node:fs/promises';
import { knownFlags, loadDespiteFiles } from '../config/configuration';
import type { Fault } from '../config/fault';
import { OPTIONS, type Given, type Settings } from '../config/options';
import type { Override } from '../config/overrides';
import { isSameSocket } from '../node/disk/socket-file';
import type { NodeProcess } from '../node/process/node-processes';
import { passedPath } from '../server/listener/socket-listener';

/** A running dockbridge, with the options with which it was started. */
export interface RunningDaemon {
  readonly process: NodeProcess;
  /** The daemon's settings. The endpoint `fd://` is replaced by the path of the socket unit if the path can be found. */
  readonly settings: Settings;
  readonly environment: NodeJS.ProcessEnv;
  /** The values of its configuration files that its flags or its environment override. */
  readonly overrides: readonly Override[];
}

/** Finds the daemons that serve the node. A daemon with `--observe` is not one of them. */
export async function servingDaemons(
  processes: readonly NodeProcess[],
  environmentOf = readEnvironment,
  socketOf = passedPath,
): Promise<RunningDaemon[]> {
  const found = processes.filter(({ name }) => name === 'dockbridge');
  const daemons = await Promise.all(
    found.map(async (process) => {
      const environment = await environmentOf(process.pid);
      try {
        const { settings, overrides } = await loadDespiteFiles(knownFlags(process.args), environment);
        return {
          ...{ process, environment, overrides },
          settings: await withSocket(settings, () => socketOf(process.pid)),
        };
      } catch {
        // A daemon with invalid options does not serve.
        return undefined;
      }
    }),
  );
  return daemons.filter((daemon) => daemon !== undefined).filter(({ settings }) => !settings.observe);
}

/** Replaces `fd://` by the socket's path, to which kubelet and crictl connect even if systemd passed the socket. */
async function withSocket(settings: Settings, pathOf: () => Promise<string>): Promise<Settings> {
  const path = settings.endpoint.startsWith('fd:') ? await pathOf() : '';
  return path === '' ? settings : { ...settings, endpoint: `unix://${path}` };
}

/** The settings, their sources, and the daemon that runs with them. */
export interface ChosenDaemon {
  readonly settings: Settings;
  /** The mistakes in the configuration files. The settings lack the values with mistakes. */
  readonly faults: readonly Fault[];
  /** The overrides of that daemon. The doctor's own flags and environment do not count. */
  readonly overrides: readonly Override[];
  readonly daemon: NodeProcess | undefined;
  readonly flags: Given;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Chooses the daemon that the doctor examines. An option that is not given has the value with which that daemon was started. If
 * several daemons are running, the doctor examines the one on the requested socket.
 */
export async function chooseDaemon(
  given: Given,
  environment: NodeJS.ProcessEnv,
  daemons: readonly RunningDaemon[],
): Promise<ChosenDaemon> {
  const { settings, faults } = await loadDespiteFiles(given, environment);
  const [only, ...others] = daemons;
  const meant =
    daemons.find((one) => isSameSocket(one.settings.endpoint, settings.endpoint)) ??
    (given[OPTIONS.endpoint.name] === undefined && others.length === 0 ? only : undefined);
  if (meant === undefined)
    return { settings, faults, overrides: [], daemon: undefined, flags: given, environment };
  const { process, environment: theirs, settings: running, overrides } = meant;
  const all = {
    flags: { ...knownFlags(process.args), ...given },
    environment: { ...theirs, ...environment },
  };
  const inForce = await loadDespiteFiles(all.flags, all.environment);
  const isPassed = inForce.settings.endpoint.startsWith('fd:');
  const { endpoint } = isPassed ? running : inForce.settings;
  return { ...inForce, settings: { ...inForce.settings, endpoint }, overrides, daemon: process, ...all };
}

/** Reads dockbridge's variables in the environment of a process. The result is empty if only root may read them. */
async function readEnvironment(pid: number): Promise<NodeJS.ProcessEnv> {
  const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  const entries = text.split('\0').map((entry) => [entry.split('=', 1)[0] ?? '', entry] as const);
  return Object.fromEntries(
    entries
      .filter(([name]) => name.startsWith('DOCKBRIDGE_'))
      .map(([name, entry]) => [name, entry.slice(name.length + 1)]),
  );
}
