import { setTimeout as delay } from 'node:timers/promises';
import { processName } from '../../node/process/process-info';
import { ProcessClaims } from '../../node/claims';
import type { Journal } from './journal';
import { Refused } from './refused';
import { Interrupted } from './step-failed';

/** One for all plans of a node, because two plans change the same files. */
const CLAIMS = '/run/dockbridge-migrate';
const KEY = 'a991';
const LOOK_MS = 200;

/**
 * Runs `work` while no other apply or rollback runs on this node.
 * @param claims the directory of the claims; tests replace it.
 * @throws Refused when another one runs.
 */
export async function exclusively<T>(what: string, work: () => Promise<T>, claims = CLAIMS): Promise<T> {
  const claim = new ProcessClaims(claims, [what]);
  const other = await claim.take(KEY);
  if (other !== undefined)
    throw new Refused(
      `another apply or rollback is running on this node: ${other.words}. Wait until it has ended`,
    );
  try {
    return await work();
  } finally {
    await claim.release(KEY);
  }
}

/**
 * Waits until the last command of a killed apply or rollback has ended: it goes on without its parent.
 * @throws Interrupted.
 */
export async function untilLastCommandEnds(
  { entries }: Pick<Journal, 'entries'>,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const name = entries.findLast(({ event }) => event === 'command')?.detail ?? '';
  const [pid = ''] = name.split(' ');
  for (let isFirst = true; pid !== '' && (await processName(pid)) === name; isFirst = false) {
    if (isFirst)
      say(`A command of an interrupted run is still running (process ${pid}). Waiting for its end …`);
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) throw new Interrupted('the command was interrupted');
  }
}
