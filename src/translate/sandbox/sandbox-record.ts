import { NamespaceMode } from '../../proto/enums';
import type { SandboxMetadata, SandboxRecord } from '../../store/records';
import type { EngineContainerInspect } from '../../engine/types';
import { toEngineState } from '../shared/engine-facts';
import { decodeLabels, readContents, readExtra, SANDBOX_TYPE, TYPE_LABEL } from '../shared/labels';
import { isMadeOf, parseEngineName, sandboxEngineName, withoutSlash } from '../shared/names';
import { fromEngineNamespaces, POD_NAMESPACES } from '../shared/namespaces';
import { SANDBOX_CPU_SHARES, type SandboxExtra } from './sandbox-create';
import { nanosFromEngineTime } from '../shared/time';

export const SANDBOX_EXTRA_EXAMPLE: SandboxExtra = {
  v: 1,
  metadata: { name: '', namespace: '', uid: '', attempt: 0 },
  runtimeHandler: '',
  namespaces: POD_NAMESPACES,
  logDirectory: '',
  cgroupParent: '',
  privileged: false,
  labelKeys: [''],
  annotationKeys: [''],
  shadowed: {},
};

/**
 * Makes the record from the Engine's inspect, for sandboxes of dockbridge and of cri-dockerd.
 * @param network whether the pod's network is set up, and its IPs, primary first.
 * @returns undefined for a container that is not a sandbox, because neither its label nor its name contains metadata.
 */
export function sandboxFromInspect(
  container: EngineContainerInspect,
  network: { readonly ready: boolean; readonly ips: readonly string[] },
): SandboxRecord | undefined {
  const engineName = withoutSlash(container.Name);
  const extra = ownSandboxExtra(container, SANDBOX_EXTRA_EXAMPLE);
  const metadata = extra?.metadata ?? metadataFromName(engineName);
  if (metadata === undefined) return undefined;
  const namespaces = extra?.namespaces ?? fromEngineNamespaces(container.HostConfig);
  return {
    kind: 'sandbox',
    id: container.Id,
    engineName,
    metadata,
    ...decodeLabels(container.Config.Labels ?? {}, extra),
    createdAt: nanosFromEngineTime(container.Created),
    state: toEngineState(container.State.Status),
    pid: container.State.Pid,
    // cri-dockerd does not record the handler. The sandbox's runtime is used, because the pod's containers need the same
    // runtime.
    runtimeHandler: extra?.runtimeHandler ?? container.HostConfig.Runtime ?? '',
    runtime: container.HostConfig.Runtime ?? '',
    networkMode: container.HostConfig.NetworkMode ?? '',
    stopping: false,
    networkReady: namespaces.network === NamespaceMode.NODE || network.ready,
    namespaces,
    hostname: container.Config.Hostname ?? '',
    logDirectory: extra?.logDirectory ?? '',
    cgroupParent: extra?.cgroupParent ?? container.HostConfig.CgroupParent ?? '',
    privileged: extra?.privileged ?? container.HostConfig.Privileged ?? false,
    ips: namespaces.network === NamespaceMode.NODE ? [] : network.ips,
    imageId: container.Image,
    contents: readContents(extra?.contents),
  };
}

/**
 * Whether a container is a pod's sandbox, created by dockbridge or cri-dockerd, and did not get its labels from an image.
 */
export function isSandbox(container: EngineContainerInspect): boolean {
  if (container.Config.Labels?.[TYPE_LABEL] !== SANDBOX_TYPE) return false;
  const isNamed = metadataFromName(withoutSlash(container.Name)) !== undefined;
  return isNamed || ownSandboxExtra(container, SANDBOX_EXTRA_EXAMPLE) !== undefined;
}

/**
 * Reads dockbridge's label of a sandbox that dockbridge created. Labels alone are no proof, because a container inherits the
 * labels of its image. The sandbox's name is proof, because an image cannot know it. If the sandbox was renamed, its HostConfig
 * is the proof, because an image cannot determine that either.
 */
export function ownSandboxExtra<T extends SandboxExtra>(
  { Name, Config, HostConfig: host }: EngineContainerInspect,
  example: T,
): T | undefined {
  const labels = Config.Labels ?? {};
  const extra = labels[TYPE_LABEL] === SANDBOX_TYPE ? readExtra(labels, example) : undefined;
  if (extra === undefined) return undefined;
  const engineName = withoutSlash(Name);
  if (isMadeOf(engineName, sandboxEngineName(extra.metadata))) return extra;
  const isRenamed = parseEngineName(engineName) === undefined;
  return isRenamed && host.CpuShares === SANDBOX_CPU_SHARES && host.LogConfig?.Type === 'none'
    ? extra
    : undefined;
}

function metadataFromName(engineName: string): SandboxMetadata | undefined {
  const parsed = parseEngineName(engineName);
  return parsed === undefined ? undefined : { ...parsed.pod, attempt: parsed.attempt };
}

/** Returns the IPs that the Engine assigned on its own networks, IPv4 first. */
export function engineIps(container: EngineContainerInspect): string[] {
  const networks = Object.values(container.NetworkSettings.Networks ?? {});
  const all = [
    ...networks.map((network) => network.IPAddress ?? ''),
    ...networks.map((network) => network.GlobalIPv6Address ?? ''),
  ];
  return all.filter((ip) => ip !== '');
}
