import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../lib/logger';

/**
 * Signals that have no meaning for this process, but would end it without a listener. On SIGUSR1, Node.js would open its
 * debugger on a loopback port instead. Pods on the host's network can reach that port, and anybody who connects to it could act
 * as root.
 */
const MEANINGLESS: readonly NodeJS.Signals[] = [
  ...(['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const),
];

/**
 * Resolves with the next signal that requests an orderly stop.
 * @param others signals that request it, too.
 */
export async function nextEndSignal(others: readonly NodeJS.Signals[] = []): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT', ...others] as const) process.once(name, resolve);
  });
}

/**
 * Listens to SIGHUP and the meaningless signals, so that none of them ends the process without a shutdown. `serve` calls this
 * before it reads its options.
 * @param onReload called on SIGHUP.
 */
export function outliveOtherSignals(logger: Logger, onReload: () => void): void {
  for (const name of MEANINGLESS)
    process.on(name, () =>
      logger.debug(
        () => 'A signal is ignored',
        () => ({ signal: name }),
      ),
    );
  process.on('SIGHUP', onReload);
}

/** Node.js's names of requests that occupy one of libuv's threads. */
const IN_THREAD = /^(FSReq|GetAddrInfo)/i;
/** Milliseconds after which a file call counts as hanging. */
const PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/**
 * Ends this process, even if a thread hangs in a file call (on a dead disk). A normal exit would wait for all of libuv's
 * threads, and therefore forever. If a thread hangs, the process kills itself, and its exit code is lost.
 */
export async function endProcess(code: number): Promise<void> {
  for (let waited = 0; isInThread(); waited += LOOK_MS) {
    if (waited >= PATIENCE_MS) process.kill(process.pid, 'SIGKILL');
    await pause(LOOK_MS);
  }
  process.exit(code);
}

function isInThread(): boolean {
  return process.getActiveResourcesInfo().some((name) => IN_THREAD.test(name));
}
