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
 * The Engine's inspect → record, for sandboxes of ours and of cri-dockerd.
 * @param network of the pod as its network tells: whether it is set up, and its IPs, primary first.
 * @returns undefined for a container that is nobody's sandbox (no metadata in label or name).
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
    // cri-dockerd keeps no word of the handler: the runtime is what its pods' containers must have too.
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

/** Whether a container is a pod's sandbox, of ours or of cri-dockerd, and not one with an image's labels. */
export function isSandbox(container: EngineContainerInspect): boolean {
  if (container.Config.Labels?.[TYPE_LABEL] !== SANDBOX_TYPE) return false;
  const isNamed = metadataFromName(withoutSlash(container.Name)) !== undefined;
  return isNamed || ownSandboxExtra(container, SANDBOX_EXTRA_EXAMPLE) !== undefined;
}

/**
 * What our own label says of a sandbox that we made. Labels alone prove nothing, for an image brings its own into all
 * that is made of it; but it cannot know the name, nor has it a say in the HostConfig of one that was renamed since.
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

/** IPs that the Engine gave on its own networks, IPv4 first. */
export function engineIps(container: EngineContainerInspect): string[] {
  const networks = Object.values(container.NetworkSettings.Networks ?? {});
  const all = [
    ...networks.map((network) => network.IPAddress ?? ''),
    ...networks.map((network) => network.GlobalIPv6Address ?? ''),
  ];
  return all.filter((ip) => ip !== '');
}
