import { isAbsolute, join } from 'node:path';
import { findConfig } from '../../network/cni/node-network';
import { PluginChain } from '../../network/cni/plugin-chain';
import { messageOf } from '../../lib/errors';
import { flagOf, flagsOf } from '../../lib/flags';
import { access } from 'node:fs/promises';
import { bridgeOption, bridges, directoriesIn } from '../bridge';
import { mergedSettings } from '../engine-settings';
import type { NodeFacts } from '../facts';
import { runtimesOf } from '../mapping/target-settings';
import { dataRootOf, targetRoots } from '../target-root';
import { wantedPrograms } from '../runtime-programs';
import { readBridgeOptions } from './bridge-options';
import { readCredentials } from './credentials';
import { readDirectories, readFiles } from './configuration-files';
import { readEngine, type InventoryClient } from './engine';
import { readDisks, readHost } from './host';
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
  const bridgeOptions = await readBridgeOptions(node, programs);
  const processes = found === undefined ? {} : { processes: found.facts };
  const option = (name: Parameters<typeof bridgeOption>[1]) =>
    bridgeOption({ ...processes, bridgeOptions }, name);
  const pick = (args: readonly string[] | undefined, flag: string): string[] => {
    const path = flagOf(args ?? [], flag) ?? '';
    return isAbsolute(path) ? [path] : [];
  };
  const kubelet = await readKubeletSnapshot(node, programs);
  const more = [
    ...pick(dockerd?.args, 'config-file'),
    ...(found?.containerds ?? []).flatMap(({ args }) => [...pick(args, 'config'), ...pick(args, 'c')]),
    ...[kubelet?.configFile ?? ''].filter((path) => isAbsolute(path)),
    ...(await filesIn(node, pick(kubelet?.arguments, 'config-dir'), DROP_IN_DEPTH, /\.conf$/)),
    ...(await filesIn(node, directoriesIn(option('cni-conf-dir')), 1, /\.(conf|conflist|json)$/)),
  ];
  // A flag may be repeated.
  const registryConfigs = [
    ...bridges(processes).flatMap(({ args }) => flagsOf(args, 'registry-config')),
    option('registry-config').value,
  ]
    .flatMap((value) => value.split(','))
    .filter((path) => isAbsolute(path));
  const containers = answer.engine?.containers ?? [];
  const files = await readFiles(node, more);
  const merged = mergedSettings({ files, ...answer });
  const [directories, credentials, lines, executables, host] = await Promise.all([
    readDirectories(node, directoriesIn(option('cni-bin-dir'))),
    readCredentials(node, [...new Set(registryConfigs)]),
    readLines(node, containers),
    node.programs(wantedPrograms(runtimesOf(merged))),
    readHost(
      node,
      [answer.engine?.info.DockerRootDir ?? '', dataRootOf(merged)].filter((path) => isAbsolute(path)),
    ),
  ]);
  const facts = { root, files, directories, credentials, lines, executables, bridgeOptions };
  const known = new Set(host.disks.map(({ path }) => path));
  const roots = targetRoots({ ...facts, ...processes, ...answer, host });
  const disks = await readDisks(
    node,
    roots.filter((path) => !known.has(path)),
  );
  return {
    ...facts,
    v: 1,
    host: { ...host, disks: [...host.disks, ...disks] },
    unreadable: node.unreadable,
    cniProblem: node.isOwn
      ? await cniProblem(option('cni-conf-dir').value, directoriesIn(option('cni-bin-dir')))
      : '',
    ...processes,
    ...answer,
    ...(kubelet === undefined ? {} : { kubelet }),
  };
}

/** How deep drop-ins are looked for. The kubelet reads them at any depth. */
const DROP_IN_DEPTH = 5;
const MAX_DROP_INS = 100;

async function filesIn(
  node: NodeRoot,
  directories: readonly string[],
  depth: number,
  endings: RegExp,
): Promise<string[]> {
  const names = await Promise.all(
    directories.map(async (directory) =>
      ((await node.names(directory, depth)) ?? []).map((name) => join(directory, name)),
    ),
  );
  return names
    .flat()
    .filter((path) => endings.test(path))
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
async function cniProblem(confDir: string, binDirs: readonly string[]): Promise<string> {
  try {
    const { config } = await findConfig(confDir === '' ? CNI_CONF : confDir);
    if (config === undefined) return '';
    await new PluginChain(binDirs.length === 0 ? CNI_BIN : [...binDirs], PLUGIN_MS).validate(config);
    return '';
  } catch (error) {
    return messageOf(error);
  }
}
