import { join } from 'node:path';
import type { Settings } from './config/options';
import type { Logger } from './lib/logger';
import type { StartWorker } from './lib/worker-rpc';
import type { ContainerLogs } from './logs/container-logs';
import { createContainerLogs } from './logs/create-container-logs';
import { ProcessClaims } from './node/process/process-claims';
import { ENGINE_CLAIMS, rememberedEngine, wayKey } from './sync/engine-claim';

/**
 * The container logs of a daemon with these settings; knows nothing else of it, so that it is loaded first. While another
 * daemon has the Engine, nothing is resumed: it writes these logs.
 * @throws FAILED_PRECONDITION when another process uses the state directory.
 */
export async function startLogs(
  settings: Pick<
    Settings,
    'observe' | 'containerLogs' | 'stateDir' | 'runDir' | 'endpoint' | 'dockerEndpoint'
  >,
  logger: Logger,
  startWorker?: StartWorker,
): Promise<ContainerLogs> {
  return createContainerLogs({
    mode: settings.observe ? 'untouched' : settings.containerLogs,
    stateDir: logDirectory(settings),
    resume: settings.observe || (await isEngineOurs(settings)),
    logger,
    startWorker,
  });
}

/** The Engine that the positions are about. */
export function engineMemory({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'engine');
}

/** What that Engine said it is. */
export function factsFile({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'engine.json');
}

/** With what another daemon is told of the one with these settings. */
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
    // The daemon meets the same error, and tells of it.
  }
  return true;
}

/** Those that a daemon has for itself alone. One that observes has none, and must not speak for who has them. */
export function claimedDirectories(settings: Pick<Settings, 'observe' | 'stateDir' | 'runDir'>): string[] {
  return settings.observe ? [] : [logDirectory(settings), settings.runDir];
}

function logDirectory({ stateDir }: Pick<Settings, 'stateDir'>): string {
  return join(stateDir, 'logs');
}
