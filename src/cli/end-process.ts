import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../lib/logger';

/**
 * Signals that mean nothing to this process, but would end it without a listener. On SIGUSR1, Node.js would open its debugger
 * instead, on a port of loopback. Pods on the host's network can reach that port, and whoever connects to it is root.
 */
const MEANINGLESS: readonly NodeJS.Signals[] = [
  ...(['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR', 'SIGSTKFLT'] as const),
];

/** Resolves with the next signal that asks for an orderly end. */
export async function nextEndSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.once(name, resolve);
  });
}

/**
 * Listens to these signals, so that none of them ends the daemon without a shutdown. `serve` calls this before it reads its options.
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

/** Node.js's names for requests that occupy one of libuv's threads. */
const IN_THREAD = /^(FSReq|GetAddrInfo)/i;
/** A file call that takes longer than this hangs. ms. */
const PATIENCE_MS = 3_000;
const LOOK_MS = 20;

/**
 * Ends this process, even while a thread hangs in a file call (a dead disk). An exit would wait for all threads of libuv, and
 * so for ever; such a process is killed, and its exit code is lost.
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
