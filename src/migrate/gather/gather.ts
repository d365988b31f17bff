import { isAbsolute, join } from 'node:path';
import { findConfig } from '../../network/cni/node-network';
import { PluginChain } from '../../network/cni/plugin-chain';
import { messageOf } from '../../lib/errors';
import { flagOf, flagsOf } from '../../lib/flags';
import { access } from 'node:fs/promises';
import type { NodeFacts } from '../facts';
import { readCredentials } from './credentials';
import { readDirectories, readFiles } from './configuration-files';
import { readEngine, type InventoryClient } from './engine';
import { readHost } from './host';
import { readKubeletSnapshot } from './kubelet';
import { readLines } from './lines';
import type { NodeProcess } from '../../node/process/node-processes';
import { NodeRoot } from './node-root';
import { openFilesOf, readProcesses, type FoundProcesses } from './processes';

export interface GatherOptions {
  /** The directory below which the node's files are. */
  readonly root: string;
  readonly docker: InventoryClient;
  /** Where the Engine listens, such as `unix:///var/run/docker.sock`. */
  readonly endpoint: string;
}

/** The limit in ms of one run of a CNI plugin. */
const PLUGIN_MS = 5_000;

/**
 * Reads everything about a node that the migration needs to know. Changes nothing: it reads files, asks the Engine with GET
 * requests, and asks CNI plugins for their versions. An Engine that does not answer is a fact, not an error.
 */
export async function gatherFacts({ root, docker, endpoint }: GatherOptions): Promise<NodeFacts> {
  const node = new NodeRoot(root);
  const proc = join(root, 'proc');
  const found = await access(join(proc, 'self')).then(
    () => readProcesses(proc, endpoint.startsWith('unix://') ? endpoint.slice(7) : '', node.isOwn),
    () => undefined,
  );
  const programs = found?.programs ?? [];
  const answer = await engineOf({ root, docker, endpoint }, found);
  const dockerd = found === undefined ? undefined : dockerdAt(endpoint, found);
  const bridge = programs.find(({ name }) => name === 'cri-dockerd' || name === 'dockbridge');
  const pick = (args: readonly string[] | undefined, flag: string): string[] => {
    const path = flagOf(args ?? [], flag) ?? '';
    return isAbsolute(path) ? [path] : [];
  };
  const kubelet = await readKubeletSnapshot(node, programs);
  const more = [
    ...pick(dockerd?.args, 'config-file'),
    ...(found?.containerds ?? []).flatMap(({ args }) => [...pick(args, 'config'), ...pick(args, 'c')]),
    ...[kubelet?.configFile ?? ''].filter((path) => isAbsolute(path)),
    ...(await kubeletDropIns(node, pick(kubelet?.arguments, 'config-dir'))),
  ];
  const registryConfigs = flagsOf(bridge?.args ?? [], 'registry-config')
    .flatMap((value) => value.split(','))
    .filter((path) => isAbsolute(path));
  const binDirs = (flagOf(bridge?.args ?? [], 'cni-bin-dir') ?? '')
    .split(/[:,]/)
    .filter((path) => isAbsolute(path));
  const containers = answer.engine?.containers ?? [];
  const [files, directories, credentials, lines, host] = await Promise.all([
    readFiles(node, more),
    readDirectories(node, binDirs),
    readCredentials(node, registryConfigs),
    readLines(node, containers),
    readHost(node, [answer.engine?.info.DockerRootDir ?? '/var/lib/docker']),
  ]);
  return {
    ...{ v: 1, root, host, files, directories, credentials, lines },
    unreadable: node.unreadable,
    cniProblem: node.isOwn ? await cniProblem(bridge?.args ?? []) : '',
    ...(found === undefined ? {} : { processes: found.facts }),
    ...answer,
    ...(kubelet === undefined ? {} : { kubelet }),
  };
}

/** How deep drop-ins are looked for. The kubelet reads them at any depth. */
const DROP_IN_DEPTH = 5;
const MAX_DROP_INS = 100;

async function kubeletDropIns(node: NodeRoot, directories: readonly string[]): Promise<string[]> {
  const names = await Promise.all(
    directories.map(async (directory) =>
      ((await node.names(directory, DROP_IN_DEPTH)) ?? []).map((name) => join(directory, name)),
    ),
  );
  return names
    .flat()
    .filter((path) => path.endsWith('.conf'))
    .slice(0, MAX_DROP_INS);
}

/** The socket on which dockerd listens unless its arguments name others. systemd also passes this socket to dockerd. */
const USUAL_SOCKET = '/run/docker.sock';

/** Finds the dockerd that listens at the endpoint, because a machine may have several. */
export function dockerdAt(
  endpoint: string,
  { programs }: Pick<FoundProcesses, 'programs'>,
): NodeProcess | undefined {
  const wanted = plain(endpoint);
  return programs
    .filter(({ name }) => name === 'dockerd')
    .find(({ args }) => {
      const hosts = [...flagsOf(args, 'host'), ...flagsOf(args, 'H')].map(plain);
      return (
        hosts.includes(wanted) || (wanted === USUAL_SOCKET && (hosts.length === 0 || hosts.includes('fd://')))
      );
    });
}

function plain(host: string): string {
  return host.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/');
}

async function engineOf(
  { root, docker, endpoint }: GatherOptions,
  found: FoundProcesses | undefined,
): Promise<Pick<NodeFacts, 'engine' | 'engineError'>> {
  try {
    const engine = await readEngine({
      docker,
      endpoint,
      dockerdArguments: found === undefined ? undefined : dockerdAt(endpoint, found)?.args,
      openFilesOf: async (pid) => (found === undefined ? undefined : openFilesOf(join(root, 'proc'), pid)),
    });
    return { engine };
  } catch (error) {
    return { engineError: messageOf(error) };
  }
}

const CNI_CONF = '/etc/cni/net.d';
const CNI_BIN = ['/opt/cni/bin', '/usr/lib/cni'];

/** Asks the plugins of the network that is in use for the versions that they know. */
async function cniProblem(args: readonly string[]): Promise<string> {
  try {
    const { config } = await findConfig(flagOf(args, 'cni-conf-dir') ?? CNI_CONF);
    if (config === undefined) return '';
    const binDirs = flagOf(args, 'cni-bin-dir')?.split(',') ?? CNI_BIN;
    await new PluginChain(binDirs, PLUGIN_MS).validate(config);
    return '';
  } catch (error) {
    return messageOf(error);
  }
}
