import { readdir, readFile } from 'node:fs/promises';
import type { Logger } from '../../lib/logger';
import { pause } from '../../lib/pause';

const POLL_MS = 20;
/** How long plugins that a killed daemon left running may go on. */
const PATIENCE_MS = 10_000;

/**
 * Waits for plugins that still run for a daemon which was killed, and kills those that take too long: an ADD that ends
 * after our DEL would leave what nobody frees.
 * @param isOurs tells by its `CNI_NETNS`.
 */
export async function outliveOrphans(
  isOurs: (netns: string) => boolean,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let round = 0; !signal.aborted; round++) {
    const orphans = await findPlugins(isOurs);
    if (orphans.length === 0) return;
    if (round === 0) logger.info('CNI plugins of an earlier run are still at work', { pids: orphans });
    // They are nobody's children here: no event tells of their end.
    await pause(POLL_MS, signal);
    if (Date.now() < deadline) continue;
    for (const pid of orphans) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Ended just now.
      }
    }
  }
}

async function findPlugins(isOurs: (netns: string) => boolean): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      const netns = environment.split('\0').find((variable) => variable.startsWith('CNI_NETNS='));
      return netns !== undefined && isOurs(netns.slice('CNI_NETNS='.length)) ? Number(pid) : undefined;
    }),
  );
  return found.filter((pid) => pid !== undefined);
}
