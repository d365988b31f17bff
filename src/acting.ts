import { join } from 'node:path';
import type { Settings } from './config/options';
import { isLocalEndpoint } from './docker/transport';
import { claimDirectory } from './node/claims';
import type { Logger } from './lib/logger';
import { choosePodNetworks } from './network/pod-networks';
import { NamespaceHandles } from './node/netns/namespace-handles';
import { RunningPlugins } from './network/cni/running-plugins';
import { SandboxCheckpoints } from './network/sandbox-checkpoints';
import type { NodeParts } from './node-parts';
import { engineClaims, engineMemory, factsFile } from './start-logs';
import { controlPath } from './server/control-socket';
import { StartedCommands } from './server/exec/started-commands';
import { OneDaemon } from './sync/engine-claim';
import { FactsFile } from './sync/facts-memory';
import { UnfinishedSandboxes } from './containers/unfinished-sandboxes';
import { NodeUpkeep } from './containers/upkeep';
import { isCriDockerdAt } from './node/process/node-processes';

/** The time in ms that `0` for --cni-timeout means. */
const DEFAULT_CNI_TIMEOUT_MS = 120_000;

/**
 * Makes the parts of a daemon that serves its node.
 * @throws FAILED_PRECONDITION when another daemon uses the run directory.
 */
export function actingParts(settings: Settings, logger: Logger): NodeParts {
  // Without the claim, this daemon would mistake plugins and handles of another daemon for those of its own earlier run.
  const trouble = claimDirectory(settings.runDir, 'run-dir', 0o750);
  if (trouble !== '')
    logger.warn('Cannot write to the run directory', { directory: settings.runDir, error: trouble });
  return {
    engineClaim: new OneDaemon({
      claims: engineClaims(settings),
      endpoint: settings.dockerEndpoint,
      memory: engineMemory(settings),
      logger,
    }),
    factsMemory: new FactsFile(factsFile(settings), settings.dockerEndpoint, logger),
    door: (client) => client,
    openNetwork: ({ observe, onUnserved, tracer }) =>
      choosePodNetworks(settings.networkPlugin, {
        confDir: settings.cniConfDir,
        binDirs: settings.cniBinDir,
        cacheDir: settings.cniCacheDir,
        handles: NamespaceHandles.of(settings.runDir),
        running: new RunningPlugins(join(settings.runDir, 'plugins'), logger),
        timeoutMs: () => settings.cniTimeout || DEFAULT_CNI_TIMEOUT_MS,
        observe,
        onUnserved,
        tracer,
        logger,
      }),
    checkpoints: createCheckpoints(settings, logger),
    openCommands: () => StartedCommands.open(join(settings.runDir, 'commands'), logger),
    openUnfinished: () => UnfinishedSandboxes.open(join(settings.runDir, 'unfinished'), logger),
    upkeep: isLocalEndpoint(settings.dockerEndpoint) ? new NodeUpkeep(logger) : undefined,
    tidyProbes: (probes, all) => probes.removeLeftovers(all),
    streaming: (open) => open(),
    controlPath: controlPath(settings.runDir),
    refusal: () => undefined,
  };
}

function createCheckpoints(settings: Settings, logger: Logger): SandboxCheckpoints {
  const { criDockerdRootDirectory: root, dockershimRootDirectory: dockershimRoot } = settings;
  const isInUse = (): Promise<boolean> => isCriDockerdAt(root);
  return new SandboxCheckpoints({ mode: settings.sandboxCheckpoints, root, dockershimRoot, isInUse, logger });
}
