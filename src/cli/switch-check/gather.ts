import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoredOptions, type Given, type Settings } from '../../config/options';
import type { DockerClient } from '../../docker/client';
import { hasStatus } from '../../docker/errors';
import type { EngineContainerInspect } from '../../engine/types';
import { mapLimited } from '../../lib/async/concurrency';
import { messageOf } from '../../lib/errors';
import { findConfig } from '../../network/cni/node-network';
import { findPodNetwork, type PodNetworkFound } from '../../network/cni/observed-cni';
import { PluginChain } from '../../network/cni/plugin-chain';
import { listDirectory } from '../../node/disk/files';
import type { NodeProcess } from '../../node/process/node-processes';
import { SANDBOX_TYPE, TYPE_LABEL } from '../../translate/shared/labels';

const CONCURRENCY = 8;
/** The directories in which packages and administrators put unit files. */
const UNIT_DIRECTORIES = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'];
const UNITS = ['cri-docker.service', 'cri-docker.socket', 'cri-dockerd.service', 'dockbridge.service'];
const KUBELET_FILES = ['/var/lib/kubelet/kubeadm-flags.env', '/var/lib/kubelet/config.yaml'];
const SOCKETS = ['/run/cri-dockerd.sock', '/run/dockershim.sock'];

export interface Sources {
  readonly docker: DockerClient;
  readonly settings: Settings;
  readonly processes: readonly NodeProcess[];
  /** The flags of a running cri-dockerd that are used as our options. */
  readonly adopted: Given;
  /** The directory below which the sockets, unit files and kubelet files are searched; tests replace it. */
  readonly root?: string;
}

/** All facts that `switch check` has read, without any judgement. */
export interface SwitchFacts {
  readonly engine: { readonly endpoint: string; readonly version: string; readonly cgroupDriver: string };
  /** The sandboxes and containers of pods, whichever runtime created them. */
  readonly containers: readonly EngineContainerInspect[];
  /** The known facts about the networks of sandboxes, by sandbox id. Sandboxes on the host's or the Engine's networks are omitted. */
  readonly networks: ReadonlyMap<string, PodNetworkFound>;
  readonly processes: readonly NodeProcess[];
  /** The known sockets, unit files and kubelet files that exist on this node. */
  readonly files: readonly string[];
  /** The ids of sandboxes that have checkpoints, by the directory of the checkpoints. */
  readonly checkpoints: ReadonlyMap<string, readonly string[]>;
  /** Why a new pod would get no CNI network; '' if it would get one. */
  readonly cniProblem: string;
  /** The flags of the running cri-dockerd that have no effect in dockbridge, with the reasons. */
  readonly ignoredFlags: readonly { readonly name: string; readonly why: string }[];
  readonly settings: {
    readonly endpoint: string;
    readonly networkPlugin: string;
    readonly cniCacheDir: string;
    readonly containerLogs: 'cri' | 'link';
  };
}

/** Reads the Engine, only with GET requests, and the node's files. Changes nothing. */
export async function gather(sources: Sources): Promise<SwitchFacts> {
  const { docker, settings, processes, adopted, root = '/' } = sources;
  const [version, info, containers] = await Promise.all([
    docker.version(),
    docker.info(),
    podContainers(docker),
  ]);
  const at = (path: string): string => join(root, path);
  const roots = [...new Set([settings.criDockerdRootDirectory, settings.dockershimRootDirectory])];
  const checkpoints = await Promise.all(
    roots.map(async (directory) => {
      const path = join(directory, 'sandbox');
      return [path, (await listDirectory(path)).filter((name) => !name.startsWith('.'))] as const;
    }),
  );
  return {
    engine: {
      endpoint: settings.dockerEndpoint,
      version: version.Version,
      cgroupDriver: info.CgroupDriver,
    },
    containers,
    networks: await networksOf(containers, settings),
    processes,
    files: await existing([...SOCKETS.map(at), ...(await unitFiles(at)), ...KUBELET_FILES.map(at)]),
    checkpoints: new Map(checkpoints.filter(([, ids]) => ids.length > 0)),
    cniProblem: await cniProblem(settings),
    ignoredFlags: ignoredOptions(adopted, {}).map(({ name, why }) => ({ name: `--${name}`, why })),
    settings,
  };
}

async function podContainers(docker: DockerClient): Promise<EngineContainerInspect[]> {
  const listed = await docker.listContainers({ label: [TYPE_LABEL] });
  const inspected = await mapLimited(listed, CONCURRENCY, async ({ Id }) => {
    try {
      return await docker.inspectContainer(Id);
    } catch (error) {
      // The container was removed after the list was made.
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  });
  return inspected.filter((container) => container !== undefined);
}

async function networksOf(
  containers: readonly EngineContainerInspect[],
  { cniCacheDir: cacheDir, cniConfDir }: Settings,
): Promise<Map<string, PodNetworkFound>> {
  const { config } = await findConfig(cniConfDir);
  const place = { cacheDir, network: config?.name };
  const onCni = containers.filter(
    ({ Config, HostConfig }) =>
      Config.Labels?.[TYPE_LABEL] === SANDBOX_TYPE && HostConfig.NetworkMode === 'none',
  );
  const found = await mapLimited(
    onCni,
    CONCURRENCY,
    async ({ Id, State }) => [Id, await findPodNetwork(place, Id, State.Pid)] as const,
  );
  return new Map(found);
}

/** Finds unit files. On a node with a merged /usr, one file is found under two paths and counts once. */
async function unitFiles(at: (path: string) => string): Promise<string[]> {
  const found = await existing(
    UNITS.flatMap((unit) => UNIT_DIRECTORIES.map((directory) => at(join(directory, unit)))),
  );
  const texts = await Promise.all(found.map((path) => readFile(path, 'utf8').catch(() => path)));
  return found.filter((path, index) => {
    const same = found.findIndex(
      (other, at) => texts[at] === texts[index] && other.endsWith(path.slice(path.lastIndexOf('/'))),
    );
    return same === index;
  });
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return paths.filter((_, index) => there[index]);
}

/** Looks for the CNI configuration and its plugins, without running any. */
async function cniProblem({ cniConfDir, cniBinDir, networkPlugin }: Settings): Promise<string> {
  if (networkPlugin === 'no-op' || networkPlugin === '') return '';
  try {
    const { config, problems } = await findConfig(cniConfDir);
    if (config === undefined)
      return problems.length > 0 ? problems.join('; ') : `there is no CNI configuration in ${cniConfDir}`;
    await new PluginChain(cniBinDir, 0).findAll(config);
    return '';
  } catch (error) {
    return messageOf(error);
  }
}
