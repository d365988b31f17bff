import { withDeadline } from '../../lib/deadline';
import type { NetworkConfig } from './network-config';
import type { PluginChain } from './plugin-chain';
import { IF_NAME } from './pod-entry';
import type { CachedAttachment } from './result-cache';

/** Pods wait meanwhile. */
const GC_MS = 30_000;

export interface Attachments {
  readonly filed: readonly CachedAttachment[];
  /** Sandboxes without an entry, which have their addresses all the same. */
  readonly lost: readonly string[];
}

/** Has the plugins of a network free what none of these attachments holds. */
export async function freeGarbage(
  chain: PluginChain,
  config: NetworkConfig,
  { filed, lost }: Attachments,
  signal: AbortSignal,
): Promise<void> {
  const own = filed.filter(({ networkName }) => networkName === config.name);
  const valid = [...own, ...lost.map((containerId) => ({ containerId, ifName: IF_NAME }))].map(
    ({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }),
  );
  await withDeadline('The garbage collection of CNI plugins', GC_MS, signal, (limit) =>
    chain.gc(config, valid, limit),
  );
}
