import { join } from 'node:path';
import type { Settings } from './config/options';
import type { Logger } from './lib/logger';
import type { ContainerLogs } from './logs/container-logs';
import { createContainerLogs } from './logs/create-container-logs';
import type { WorkerLogsOverrides } from './logs/worker-logs';
import { ProcessClaims } from './node/claims';
import { ENGINE_CLAIMS, rememberedEngine, wayKey } from './sync/engine-claim';

/**
 * Starts the container logs of a daemon with these settings. This file imports nothing else of the daemon, so it can be loaded
 * first. Nothing is resumed while another daemon holds the claim on the Engine, because that daemon writes these logs.
 * @throws FAILED_PRECONDITION when another process uses the state directory.
 */
export async function startLogs(
  settings: Pick<
    Settings,
    'observe' | 'containerLogs' | 'stateDir' | 'runDir' | 'endpoint' | 'dockerEndpoint'
  >,
  logger: Logger,
  overrides: WorkerLogsOverrides = {},
): Promise<ContainerLogs> {
  return createContainerLogs({
    mode: settings.observe ? 'untouched' : settings.containerLogs,
    stateDir: logDirectory(settings),
    resume: settings.observe || (await isEngineOurs(settings)),
    logger,
    overrides,
  });
}

/** Returns the path of the file that names the Engine to whose containers the saved log positions belong. */
export function engineMemory({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'engine');
}

/** Returns the path of the file that keeps the facts about that Engine. */
export function factsFile({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'engine.json');
}

/**
 * Makes the claims on the Engine. A claim contains the run directory and the socket of this daemon, for other daemons to
 * report.
 */
export function engineClaims({ runDir, endpoint }: Pick<Settings, 'runDir' | 'endpoint'>): ProcessClaims {
  return new ProcessClaims(ENGINE_CLAIMS, [`run directory ${runDir}`, `socket ${endpoint}`]);
}

async function isEngineOurs(
  settings: Pick<Settings, 'runDir' | 'stateDir' | 'endpoint' | 'dockerEndpoint'>,
): Promise<boolean> {
  try {
    const claims = engineClaims(settings);
    const keys = [await wayKey(settings.dockerEndpoint), await rememberedEngine(engineMemory(settings))];
    for (const key of keys) if (key !== '' && (await claims.take(key)) !== undefined) return false;
  } catch {
    // The daemon will meet the same error and log it.
  }
  return true;
}

/**
 * Returns the directories that a daemon needs for itself alone. A daemon that only observes has none, because these directories
 * belong to the daemon that serves.
 */
export function claimedDirectories(settings: Pick<Settings, 'observe' | 'stateDir' | 'runDir'>): string[] {
  return settings.observe ? [] : [logDirectory(settings), settings.runDir];
}

function logDirectory({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'logs');
}
