import { resolve } from 'node:path';
import { withDeadline } from '../../lib/async/deadline';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { NetworkConfig } from './network-config';
import type { PluginChain } from './plugin-chain';
import { IF_NAME } from './pod-entry';
import { type CachedAttachment, readNetwork } from './result-cache';

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** Frees the networks of vanished sandboxes. Tries again with growing pauses until it succeeds. */
export class Cleanup {
  private readonly pending = new Map<string, NodeJS.Timeout | undefined>();
  private closed = false;

  constructor(
    private readonly free: (sandboxId: string) => Promise<void>,
    private readonly logger: Logger,
  ) {}

  /** Begins to free the network of a sandbox. Returns immediately. */
  request(sandboxId: string): void {
    if (this.closed || this.pending.has(sandboxId)) return;
    this.pending.set(sandboxId, undefined);
    void this.attempt(sandboxId, FIRST_RETRY_MS);
  }

  /** Ends the attempts for a sandbox whose network has been freed in another way. */
  done(sandboxId: string): void {
    clearTimeout(this.pending.get(sandboxId));
    this.pending.delete(sandboxId);
  }

  close(): void {
    this.closed = true;
    for (const timer of this.pending.values()) clearTimeout(timer);
    this.pending.clear();
  }

  private async attempt(sandboxId: string, retryMs: number): Promise<void> {
    try {
      await this.free(sandboxId);
      this.done(sandboxId);
    } catch (error) {
      if (this.closed) return;
      this.logger.warn('Cannot free the network of a vanished pod yet; retrying', {
        sandbox: sandboxId,
        error: messageOf(error),
        inMs: retryMs,
      });
      const next = (): void => void this.attempt(sandboxId, Math.min(2 * retryMs, LAST_RETRY_MS));
      const timer = setTimeout(next, retryMs);
      timer.unref();
      this.pending.set(sandboxId, timer);
    }
  }
}

/** The directory in which CNI's own library keeps the attachments of containerd, Podman and cnitool. */
const LIBCNI_CACHE = '/var/lib/cni';
/** New pods wait while plugins collect garbage. */
const GC_MS = 30_000;

export interface Attachments {
  readonly filed: readonly CachedAttachment[];
  /** Sandboxes that have no entry but still use their addresses. */
  readonly lost: readonly string[];
}

/**
 * Reads the attachments that other programs have made to a network from CNI's default cache. Returns none when `cacheDir` is
 * that cache.
 */
export async function attachedByOthers(
  {
    cacheDir,
    othersCacheDir = LIBCNI_CACHE,
  }: { readonly cacheDir: string; readonly othersCacheDir?: string },
  network: string,
): Promise<CachedAttachment[]> {
  return resolve(cacheDir) === resolve(othersCacheDir) ? [] : readNetwork(othersCacheDir, network);
}

/** Asks the plugins of a network to free everything that belongs to none of these attachments. */
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
