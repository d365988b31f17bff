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
 * @param network whether the pod's network is set up, and its IPs, primary first.
 * @returns undefined for a container that is not a sandbox (no metadata in its label or name).
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
    // cri-dockerd does not record the handler; the pod's containers must have the sandbox's runtime, too.
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

/** Whether a container is a pod's sandbox, ours or cri-dockerd's, and did not get its labels from an image. */
export function isSandbox(container: EngineContainerInspect): boolean {
  if (container.Config.Labels?.[TYPE_LABEL] !== SANDBOX_TYPE) return false;
  const isNamed = metadataFromName(withoutSlash(container.Name)) !== undefined;
  return isNamed || ownSandboxExtra(container, SANDBOX_EXTRA_EXAMPLE) !== undefined;
}

/**
 * Reads our label of a sandbox that we created. Labels alone prove nothing, because containers inherit those of their image.
 * But an image cannot know the name, and does not decide the HostConfig of a sandbox that was renamed since.
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

/** The IPs that the Engine assigned on its own networks, IPv4 first. */
export function engineIps(container: EngineContainerInspect): string[] {
  const networks = Object.values(container.NetworkSettings.Networks ?? {});
  const all = [
    ...networks.map((network) => network.IPAddress ?? ''),
    ...networks.map((network) => network.GlobalIPv6Address ?? ''),
  ];
  return all.filter((ip) => ip !== '');
}
