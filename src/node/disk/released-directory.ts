import { setTimeout as delay } from 'node:timers/promises';
import { claimOf } from './claim-directory';

/** The kernel tells nobody of the end of a process that is no child. */
const LOOK_AGAIN_MS = 50;
/** A daemon that was just told to stop may be too busy to say so at once. */
const BENEFIT_OF_DOUBT_MS = 1_000;

/**
 * Waits for a daemon that is stopping to let go of these directories: it still writes its logs to the end. One that is
 * not stopping is not waited for; the claim then refuses.
 * @param ms as long as a stop may take.
 */
export async function untilReleased(directories: readonly string[], ms: number): Promise<void> {
  const started = performance.now();
  for (;;) {
    const claims = directories.map(claimOf).filter((claim) => claim !== 'none');
    const patience = claims.includes('stopping') ? ms : BENEFIT_OF_DOUBT_MS;
    if (claims.length === 0 || performance.now() - started > patience) return;
    await delay(LOOK_AGAIN_MS);
  }
}
