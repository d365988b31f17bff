import { basename, dirname } from 'node:path';
import { messageOf } from '../../lib/errors';
import { holderOf, type PodNamespaces } from '../../node/netns/namespace-handles';
import type { PodToAttach } from '../../translate/sandbox/pod-to-attach';
import { capabilityArgs, unservedBy } from './asked-of-network';
import { type NetworkConfig, parseCachedConfig, parseNetworkList } from './network-config';
import type { PluginChain } from './plugin-chain';
import { podIps } from './result';
import type { Attachment, CachedAttachment } from './result-cache';

/** The name of the interface in every pod, as kubelet expects it. */
export const IF_NAME = 'eth0';

/** The facts that the Engine and the kernel report about a pod that is not in the cache. */
export interface UnfiledPod {
  readonly pod: PodToAttach | undefined;
  readonly ips: readonly string[];
}

/**
 * Finds the entry with a pod's addresses. There may be several entries for the same interface: cri-dockerd and dockershim store
 * the loopback network as `cni-loopback-<id>-eth0`, and a plugin that calls other plugins may use the same cache.
 * @param network the node's current network, whose entry is preferred.
 * @returns undefined when no entry has an address of the pod.
 */
export function podEntry(
  entries: readonly CachedAttachment[],
  network: string | undefined,
): CachedAttachment | undefined {
  const own = entries.filter(({ ifName }) => ifName === IF_NAME);
  // Only dockbridge writes an entry before the ADD has succeeded. While there is such an entry, the pod is not set up.
  const begun = own.find(({ result }) => result === undefined);
  const telling = own.filter((entry) => ipsOf(entry).length > 0);
  return begun ?? telling.find(({ networkName }) => networkName === network) ?? telling[0];
}

/** Returns the addresses in the entry; none while its ADD has not finished. */
export function ipsOf({ result, ifName }: CachedAttachment): string[] {
  return result === undefined ? [] : podIps(result, ifName);
}

/** @returns undefined when the configuration in the entry is damaged or missing. */
export function configOf(entry: CachedAttachment): NetworkConfig | undefined {
  try {
    return parseCachedConfig(entry.config);
  } catch {
    return undefined;
  }
}

/** Whether the entry belongs to the pod's network, and not to loopback, which need not be undone. */
export function isOfPodNetwork(entry: CachedAttachment): boolean {
  const isLoopback = configOf(entry)?.plugins.every(({ type }) => type === 'loopback') ?? false;
  return entry.ifName === IF_NAME && !isLoopback;
}

/**
 * Makes `CNI_ARGS`.
 * @param pod undefined when nothing is known about the pod anymore.
 */
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

/** Returns the arguments of a pod's attachment. */
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

/**
 * The configuration of the loopback plugin, which brings the loopback interface up. It is needed for the few Engines that do
 * not do this themselves.
 */
export const LOOPBACK = parseNetworkList(
  JSON.stringify({ cniVersion: '0.3.1', name: 'cni-loopback', plugins: [{ type: 'loopback' }] }),
);

export function loopbackOf(containerId: string, netns: string): Attachment {
  return { containerId, networkName: LOOPBACK.name, ifName: 'lo', netns, cniArgs: [], capabilityArgs: {} };
}

/** Whether an entry is ours or cri-dockerd's, which uses no handles. Other programs may use the same cache. */
export function isOurs(
  { containerId, netns, networkName, cniArgs }: CachedAttachment,
  handles: Pick<PodNamespaces, 'owns'>,
): boolean {
  if (netns !== '' && !netns.startsWith('/proc/')) return handles.owns(netns);
  // Entries that kubenet wrote have no arguments.
  if (networkName === 'kubenet' || networkName === 'kubenet-loopback') return true;
  return cniArgs.some(([key, value]) => key === 'K8S_POD_INFRA_CONTAINER_ID' && value === containerId);
}

/**
 * Whether an entry that is not ours belongs to a dockbridge with another --run-dir. The name of its handle shows this, because
 * only dockbridge names handles after sandboxes.
 */
export function isOfOtherRunDir({ netns, containerId }: CachedAttachment): boolean {
  const isOfEarlierVersion = basename(netns) === containerId && basename(dirname(netns)) === 'netns';
  return isOfEarlierVersion || holderOf(netns) === containerId;
}

/** Describes, for people, what the pod requested at its ADD but no plugin of its network provides. */
export function unservedOf(entries: readonly CachedAttachment[]): string[] {
  return entries.filter(isOfPodNetwork).flatMap((entry) => {
    const config = configOf(entry);
    return config === undefined ? [] : unservedBy(config, entry.capabilityArgs).map(({ message }) => message);
  });
}

/** Runs CHECK on a pod's attachments (docs/adr/0056-cni-check-on-demand.md). @returns what is wrong; '' when nothing is. */
export async function checkAll(
  chain: PluginChain,
  handles: PodNamespaces,
  sandboxId: string,
  entries: readonly CachedAttachment[],
  signal?: AbortSignal,
): Promise<string> {
  try {
    // Like DEL, CHECK gets only a handle, because the pid of an adopted pod may already belong to another process.
    const netns = await handles.heldPath(sandboxId);
    if (netns === '') return 'its network namespace is not held';
    for (const entry of entries) {
      if (entry.result === undefined) continue;
      const config = configOf(entry);
      if (config === undefined) return `the configuration of network "${entry.networkName}" cannot be read`;
      await chain.check(config, { ...entry, netns }, entry.result, signal);
    }
    return '';
  } catch (error) {
    signal?.throwIfAborted();
    return messageOf(error);
  }
}
