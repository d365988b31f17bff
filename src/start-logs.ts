import { join } from 'node:path';
import type { Settings } from './config/options';
import type { Logger } from './lib/logger';
import type { ContainerLogs } from './logs/container-logs';
import { createContainerLogs } from './logs/create-container-logs';

/**
 * The container logs of a daemon with these settings; knows nothing else of it, so that it is loaded first.
 * @throws FAILED_PRECONDITION when another process uses the state directory.
 */
export function startLogs(
  settings: Pick<Settings, 'observe' | 'containerLogs' | 'stateDir'>,
  logger: Logger,
): ContainerLogs {
  return createContainerLogs({
    mode: settings.observe ? 'untouched' : settings.containerLogs,
    stateDir: logDirectory(settings),
    logger,
  });
}

/** Those that a daemon has for itself alone. One that observes has none, and must not speak for who has them. */
export function claimedDirectories(settings: Pick<Settings, 'observe' | 'stateDir' | 'runDir'>): string[] {
  return settings.observe ? [] : [logDirectory(settings), settings.runDir];
}

function logDirectory({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'logs');
}
