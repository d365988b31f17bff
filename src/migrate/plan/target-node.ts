import { bridgeOption, directoriesIn } from '../bridge';
import { cniConfDir, CNI_BIN_DIRS, missingPlugins } from '../cni-plugins';
import { containerdConfigPath, engineContainerd } from '../engine-containerd';
import type { NodeFacts } from '../facts';
import type { NodeContext } from '../mapping/target-settings';
import type { EngineConfiguration } from '../mapping/setting';
import { certificatesOf } from './registries';
import type { TargetNode } from './containerd';
import { CRIO_DROP_IN } from './crio';
import { definedRuntimes } from './crio-runtimes';
import { containerLimits, numberOf, SOFT_DEFAULT } from '../open-files';
import { flagOf as flag } from '../../lib/flags';

export const DAEMON_JSON = '/etc/docker/daemon.json';

/** The configuration of the node's Engine. `read` returns the text of a file with its secrets. */
export function engineConfiguration(
  facts: NodeFacts,
  read: (path: string) => string | undefined,
): EngineConfiguration {
  const args = dockerdArguments(facts);
  const path = flagOf(args, 'config-file') || DAEMON_JSON;
  const file = read(path);
  return { ...(file === undefined ? {} : { file: { path, text: file } }), arguments: args };
}

/** Returns what the translation of settings needs to know of the node. */
export function nodeContext(facts: NodeFacts): Omit<NodeContext, 'proxy'> {
  const info = facts.engine?.info;
  const registries = info?.RegistryConfig;
  const kubeletDriver = facts.kubelet?.cgroupDriver.value ?? '';
  return {
    cgroupDriver: kubeletDriver === '' ? (info?.CgroupDriver ?? '') : kubeletDriver,
    cgroupVersion: facts.host.cgroupVersion ?? 2,
    disks: facts.host.disks,
    images: (facts.engine?.images ?? []).flatMap((image) => [
      ...(image.RepoTags ?? []),
      ...(image.RepoDigests ?? []),
    ]),
    isContainerdShared: engineContainerd(facts).isShared,
    ...(registries === undefined || registries === null
      ? {}
      : {
          registries: {
            mirrors: registries.Mirrors ?? [],
            insecure: [
              ...Object.values(registries.IndexConfigs ?? {}).flatMap((index) =>
                index?.Secure === false && index.Name !== undefined ? [index.Name] : [],
              ),
              ...(registries.InsecureRegistryCIDRs ?? []),
            ],
          },
        }),
  };
}

/** Returns what the target's files need to know of the node. */
export function targetNode(facts: NodeFacts, read: (path: string) => string | undefined): TargetNode {
  const kubelet = facts.kubelet?.arguments ?? [];
  const mainPath = containerdConfigPath(facts);
  const main = read(mainPath);
  const binDirs = cniBinDirs(facts);
  return {
    cgroupVersion: facts.host.cgroupVersion ?? 2,
    certificates: certificatesOf(facts.directories['/etc/docker/certs.d'] ?? []),
    cniConfDir: cniConfDir(facts),
    cniBinDirs: binDirs,
    cniMissing: missingPlugins(facts, [...binDirs, ...CNI_BIN_DIRS]),
    sandboxImage:
      bridgeOption(facts, 'pod-infra-container-image').value || flagOf(kubelet, 'pod-infra-container-image'),
    openFiles: openFiles(facts),
    executables: facts.executables,
    crioRuntimes: definedRuntimes(facts, [CRIO_DROP_IN]),
    mainPath,
    importable: Object.fromEntries(
      Object.entries(facts.files).flatMap(([path, { text }]) =>
        path.endsWith('.toml') ? [[path, text]] : [],
      ),
    ),
    ...(main === undefined ? {} : { mainConfig: main }),
  };
}

function cniBinDirs(facts: NodeFacts): string[] {
  const given = directoriesIn(bridgeOption(facts, 'cni-bin-dir'));
  if (given.length > 0) return given;
  const present = CNI_BIN_DIRS.filter((directory) => (facts.directories[directory] ?? []).length > 0);
  return present.length > 0 ? present : ['/opt/cni/bin'];
}

/** Returns LimitNOFILE for the target's unit, whose shims pass it on to containers; '' when containers have the usual limit. */
function openFiles(facts: NodeFacts): string {
  const { limits } = containerLimits(facts) ?? {};
  if (limits === undefined || numberOf(limits.soft) <= SOFT_DEFAULT) return '';
  const [soft, hard] = [limits.soft, limits.hard].map((value) =>
    value === 'unlimited' ? 'infinity' : value,
  );
  return soft === hard ? (soft ?? '') : `${soft ?? ''}:${hard ?? ''}`;
}

function dockerdArguments(facts: NodeFacts): readonly string[] {
  return facts.engine?.dockerdArguments ?? programArguments(facts, ['dockerd']);
}

function programArguments({ processes }: NodeFacts, names: readonly string[]): readonly string[] {
  return processes?.programs.find(({ name }) => names.includes(name))?.args ?? [];
}

function flagOf(args: readonly string[], name: string): string {
  return flag(args, name) ?? '';
}
