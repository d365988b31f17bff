import { messageOf } from '../../lib/errors';
import type { PodNamespaces } from '../../node/netns/namespace-handles';
import { unservedBy } from './asked-of-network';
import type { PluginChain } from './plugin-chain';
import { configOf, isOfPodNetwork } from './pod-entry';
import type { CachedAttachment } from './result-cache';

/** Describes for people what the pod requested at its ADD and no plugin of that network provides. */
export function unservedOf(entries: readonly CachedAttachment[]): string[] {
  return entries.filter(isOfPodNetwork).flatMap((entry) => {
    const config = configOf(entry);
    return config === undefined ? [] : unservedBy(config, entry.capabilityArgs).map(({ message }) => message);
  });
}

/** Runs CHECK on a pod's attachments (docs/adr/0056-cni-check-on-demand.md). @returns what is wrong, '' when all is well. */
export async function checkAll(
  chain: PluginChain,
  handles: PodNamespaces,
  sandboxId: string,
  entries: readonly CachedAttachment[],
  signal?: AbortSignal,
): Promise<string> {
  try {
    // Like DEL, it gets only a handle: the pid of an adopted pod may be another process's by now.
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
