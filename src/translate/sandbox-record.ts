import { NamespaceMode } from '../proto/enums';
import type { EngineState, SandboxMetadata, SandboxRecord } from '../store/records';
import type { EngineContainerInspect } from './engine';
import { decodeLabels, readExtra } from './labels';
import { parseEngineName, sandboxEngineName } from './names';
import { fromEngineNamespaces, POD_NAMESPACES } from './namespaces';
import type { SandboxExtra } from './sandbox-create';
import { nanosFromEngineTime } from './time';

const EXTRA_EXAMPLE: SandboxExtra = {
  v: 1,
  metadata: { name: '', namespace: '', uid: '', attempt: 0 },
  runtimeHandler: '',
  namespaces: POD_NAMESPACES,
  logDirectory: '',
  cgroupParent: '',
  privileged: false,
  labelKeys: [],
  annotationKeys: [],
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
  const engineLabels = container.Config.Labels ?? {};
  const engineName = container.Name.replace(/^\//, '');
  const extra = ownExtra(readExtra(engineLabels, EXTRA_EXAMPLE), engineName);
  const metadata = extra?.metadata ?? metadataFromName(engineName);
  if (metadata === undefined) return undefined;
  const namespaces = extra?.namespaces ?? fromEngineNamespaces(container.HostConfig);
  return {
    kind: 'sandbox',
    id: container.Id,
    engineName,
    metadata,
    ...decodeLabels(engineLabels, extra),
    createdAt: nanosFromEngineTime(container.Created),
    state: container.State.Status as EngineState,
    pid: container.State.Pid,
    // cri-dockerd keeps no word of the handler: the runtime is what its pods' containers must have too.
    runtimeHandler: extra?.runtimeHandler ?? container.HostConfig.Runtime ?? '',
    networkReady: namespaces.network === NamespaceMode.NODE || network.ready,
    namespaces,
    hostname: container.Config.Hostname ?? '',
    logDirectory: extra?.logDirectory ?? '',
    cgroupParent: extra?.cgroupParent ?? container.HostConfig.CgroupParent ?? '',
    privileged: extra?.privileged ?? container.HostConfig.Privileged ?? false,
    ips: namespaces.network === NamespaceMode.NODE ? [] : network.ips,
    imageId: container.Image,
  };
}

/** A pause image may carry such a label itself, but does not know the pod that its container's name tells of. */
function ownExtra(extra: SandboxExtra | undefined, engineName: string): SandboxExtra | undefined {
  const isForged =
    extra !== undefined &&
    parseEngineName(engineName) !== undefined &&
    !engineName.startsWith(sandboxEngineName(extra.metadata));
  return isForged ? undefined : extra;
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
