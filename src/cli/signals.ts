import type { Logger } from '../lib/logger';

/**
 * What ends a process that does not listen, and means nothing to this one. For SIGUSR1 Node.js opens its debugger instead,
 * on a port of loopback that pods on the host's network reach: whoever speaks to it is root.
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
 * So that none of them ends the daemon without a shutdown, from its first moment on.
 * @param onReload for SIGHUP.
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
