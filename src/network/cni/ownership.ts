import { basename, dirname } from 'node:path';
import { holderOf, type PodNamespaces } from '../../node/netns/namespace-handles';
import type { CachedAttachment } from './result-cache';

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
