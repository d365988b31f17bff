import { messageOf } from '../../lib/errors';
import { isInhabited } from '../../node/netns/namespace-handles';
import type { Logger } from '../../lib/logger';
import type { PodPort } from '../../translate/sandbox/pod-to-attach';
import { conflictOf } from './host-ports';
import { isOfOtherRunDir } from './ownership';
import type { PluginChain } from './plugin-chain';
import { configOf } from './pod-entry';
import type { CachedAttachment, ResultCache } from './result-cache';

/**
 * Those of the entries that claim a wanted port although nothing lives in their network namespace, or it is gone: what
 * another runtime, or we under a former --run-dir, left in the cache. A holder that does not exist holds nothing.
 */
export async function deadHolders(
  wanted: readonly PodPort[],
  others: readonly CachedAttachment[],
): Promise<CachedAttachment[]> {
  const dead: CachedAttachment[] = [];
  for (const entry of others) {
    // The rare case: nobody looks through all processes for a pod without a conflict.
    if (conflictOf(wanted, entry) !== undefined && !(await isInhabited(entry.netns))) dead.push(entry);
  }
  return dead;
}

export interface Undoing {
  readonly chain: Pick<PluginChain, 'del'>;
  readonly cache: Pick<ResultCache, 'remove'>;
  readonly logger: Logger;
}

/**
 * Undoes those dead holders that are of a former --run-dir, rules and all. What cannot be undone stays filed, to be tried
 * again, and keeps no pod from its port.
 */
export async function undoFormer(
  dead: readonly CachedAttachment[],
  { chain, cache, logger }: Undoing,
): Promise<void> {
  for (const entry of dead) {
    const config = isOfOtherRunDir(entry) ? configOf(entry) : undefined;
    if (config === undefined) continue;
    try {
      await chain.del(config, { ...entry, netns: '' }, entry.result);
      await cache.remove(entry);
    } catch (error) {
      logger.warn('The network of a pod of a former --run-dir cannot be undone', {
        sandbox: entry.containerId,
        error: messageOf(error),
      });
    }
  }
}
