import { stat, statfs } from 'node:fs/promises';
import { forEachLimited } from '../../lib/async/concurrency';
import { messageOf } from '../../lib/errors';
import { listDirectory } from '../../node/disk/files';
import type { Logger } from '../../lib/logger';
import type { PodPort } from '../../translate/sandbox/pod-to-attach';
import { conflictOf } from './host-ports';
import { isOfOtherRunDir } from './ownership';
import type { PluginChain } from './plugin-chain';
import { configOf } from './pod-entry';
import type { CachedAttachment, ResultCache } from './result-cache';

const NSFS_MAGIC = 0x6e736673;
/** Looks into /proc at a time: each takes a thread, and there are four. */
const CONCURRENT_LOOKS = 8;

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

async function isInhabited(netns: string): Promise<boolean> {
  try {
    if ((await statfs(netns)).type !== NSFS_MAGIC) return false;
    const wanted = await stat(netns);
    const pids = (await listDirectory('/proc')).filter((name) => /^\d+$/.test(name));
    let found = false;
    await forEachLimited(pids, CONCURRENT_LOOKS, async (pid) => {
      const own = found ? undefined : await stat(`/proc/${pid}/ns/net`).catch(() => undefined);
      found ||= own?.ino === wanted.ino && own.dev === wanted.dev;
    });
    return found;
  } catch {
    return false;
  }
}
