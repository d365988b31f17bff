import type { PodToAttach } from '../../translate/sandbox/pod-to-attach';
import type { Attachment, CachedAttachment } from './result-cache';
import { capabilityArgs } from './asked-of-network';
import { type NetworkConfig, parseCachedConfig, parseNetworkList } from './network-config';
import { podIps } from './result';
import { basename, dirname } from 'node:path';
import { holderOf, type PodNamespaces } from '../../node/netns/namespace-handles';

/** The interface that every pod has, as kubelet expects. */
export const IF_NAME = 'eth0';

/** A pod that the cache does not know: what the Engine and the kernel say of it. */
export interface UnfiledPod {
  readonly pod: PodToAttach | undefined;
  readonly ips: readonly string[];
}

/**
 * The entry that says what a pod's addresses are. There may be several for the same interface: cri-dockerd and
 * dockershim file the loopback network as `cni-loopback-<id>-eth0`, and a plugin that calls others may share the cache.
 * @param network that the node has today: its entry is preferred.
 * @returns undefined when none of them names an address of the pod.
 */
export function podEntry(
  entries: readonly CachedAttachment[],
  network: string | undefined,
): CachedAttachment | undefined {
  const own = entries.filter(({ ifName }) => ifName === IF_NAME);
  // Nobody but us writes an entry before its ADD has succeeded: while there is one, the pod is not set up.
  const begun = own.find(({ result }) => result === undefined);
  const telling = own.filter((entry) => ipsOf(entry).length > 0);
  return begun ?? telling.find(({ networkName }) => networkName === network) ?? telling[0];
}

/** Addresses by the entry; none while its ADD is not finished. */
export function ipsOf({ result, ifName }: CachedAttachment): string[] {
  return result === undefined ? [] : podIps(result, ifName);
}

/** Undefined for what was damaged, or was never a configuration. */
export function configOf(entry: CachedAttachment): NetworkConfig | undefined {
  try {
    return parseCachedConfig(entry.config);
  } catch {
    return undefined;
  }
}

/** Whether it is more than loopback, which needs no undoing. */
export function isOfPodNetwork(entry: CachedAttachment): boolean {
  const isLoopback = configOf(entry)?.plugins.every(({ type }) => type === 'loopback') ?? false;
  return entry.ifName === IF_NAME && !isLoopback;
}

/** `CNI_ARGS`. @param pod undefined: nobody knows any more. */
export function cniArgs(sandboxId: string, pod: PodToAttach | undefined): Attachment['cniArgs'] {
  const { namespace, name, uid } = pod ?? {};
  return [
    ['IgnoreUnknown', '1'],
    ...(namespace === undefined ? [] : [['K8S_POD_NAMESPACE', namespace] as const]),
    ...(name === undefined ? [] : [['K8S_POD_NAME', name] as const]),
    ['K8S_POD_INFRA_CONTAINER_ID', sandboxId],
    ...(uid === undefined ? [] : [['K8S_POD_UID', uid] as const]),
  ];
}

/** What a pod without a cache entry was attached with, as far as the Engine tells. */
export function askedFor(
  sandboxId: string,
  pod: PodToAttach | undefined,
  podCidr: string,
): Pick<Attachment, 'cniArgs' | 'capabilityArgs'> {
  return {
    cniArgs: cniArgs(sandboxId, pod),
    capabilityArgs: pod === undefined ? {} : capabilityArgs(pod, podCidr),
  };
}

/** Up on most Engines already; elsewhere by the plugin that everybody installs. */
export const LOOPBACK = parseNetworkList(
  JSON.stringify({ cniVersion: '0.3.1', name: 'cni-loopback', plugins: [{ type: 'loopback' }] }),
);

export function loopbackOf(containerId: string, netns: string): Attachment {
  return { containerId, networkName: LOOPBACK.name, ifName: 'lo', netns, cniArgs: [], capabilityArgs: {} };
}

/** Ours, or cri-dockerd's, which knows no handles; not that of another program with the same cache. */
export function isOurs(
  { containerId, netns, networkName, cniArgs }: CachedAttachment,
  handles: Pick<PodNamespaces, 'owns'>,
): boolean {
  if (netns !== '' && !netns.startsWith('/proc/')) return handles.owns(netns);
  // kubenet gives no arguments.
  if (networkName === 'kubenet' || networkName === 'kubenet-loopback') return true;
  return cniArgs.some(([key, value]) => key === 'K8S_POD_INFRA_CONTAINER_ID' && value === containerId);
}

/** Whether an entry that is not ours is of a dockbridge with another --run-dir: nobody else names a handle after its sandbox. */
export function isOfOtherRunDir({ netns, containerId }: CachedAttachment): boolean {
  const isOfEarlierVersion = basename(netns) === containerId && basename(dirname(netns)) === 'netns';
  return isOfEarlierVersion || holderOf(netns) === containerId;
}
