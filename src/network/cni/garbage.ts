import { resolve } from 'node:path';
import { withDeadline } from '../../lib/async/deadline';
import type { NetworkConfig } from './network-config';
import type { PluginChain } from './plugin-chain';
import { IF_NAME } from './pod-entry';
import { readNetwork, type CachedAttachment } from './result-cache';

/** Where CNI's own library keeps what containerd, Podman or cnitool attach. */
const LIBCNI_CACHE = '/var/lib/cni';
/** Pods wait meanwhile. */
const GC_MS = 30_000;

export interface Attachments {
  readonly filed: readonly CachedAttachment[];
  /** Sandboxes without an entry, which have their addresses all the same. */
  readonly lost: readonly string[];
}

/** What other programs have attached to a network, by a cache that is not ours; empty when `cacheDir` is. */
export async function attachedByOthers(
  {
    cacheDir,
    othersCacheDir = LIBCNI_CACHE,
  }: { readonly cacheDir: string; readonly othersCacheDir?: string },
  network: string,
): Promise<CachedAttachment[]> {
  return resolve(cacheDir) === resolve(othersCacheDir) ? [] : readNetwork(othersCacheDir, network);
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
