import { stat, statfs } from 'node:fs/promises';
import { forEachLimited } from '../../lib/concurrency';
import { listDirectory } from '../../lib/list-directory';
import type { PodPort } from '../../translate/pod-to-attach';
import { conflictOf } from './host-ports';
import type { CachedAttachment } from './result-cache';

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
