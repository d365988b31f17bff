import { resolve } from 'node:path';
import type { Settings } from './config/options';
import { isLocalEndpoint } from './docker/transport';
import { readOnly } from './docker/decorators';
import { failedPrecondition, invalidArgument } from './lib/errors';
import type { Logger } from './lib/logger';
import { observePodNetworks } from './network/pod-networks';
import { UntouchedCheckpoints } from './network/sandbox-checkpoints';
import type { NodeParts } from './node-parts';
import { StartedCommands } from './server/exec/started-commands';
import { NoStreaming } from './streaming/server';
import { NoClaim } from './sync/engine-claim';
import { NoFactsMemory } from './sync/facts-memory';
import { UnfinishedSandboxes } from './containers/unfinished-sandboxes';
import { NoUpkeep } from './containers/upkeep';

const WHY = 'it was started with --observe, alongside the runtime that serves this node, and changes nothing';
/** The sockets on which kubelets expect their runtime. */
const TAKEN = ['/run/cri-dockerd.sock', '/run/dockershim.sock'];

/**
 * Makes the parts of a daemon that only observes.
 * @throws INVALID_ARGUMENT for a socket on which kubelet expects its runtime.
 */
export function observingParts(settings: Settings, logger: Logger): NodeParts {
  refuseKubeletsSocket(settings.endpoint);
  return {
    engineClaim: new NoClaim(),
    factsMemory: new NoFactsMemory(),
    door: (client) => readOnly(client, `this dockbridge only observes (--observe)`),
    openNetwork: (_observers, onAttached) =>
      observePodNetworks(settings.networkPlugin, {
        confDir: settings.cniConfDir,
        binDirs: settings.cniBinDir,
        cacheDir: settings.cniCacheDir,
        onAttached,
        logger,
      }),
    checkpoints: new UntouchedCheckpoints(),
    openCommands: () => Promise.resolve(StartedCommands.none(logger)),
    openUnfinished: () => Promise.resolve(UnfinishedSandboxes.inMemory(logger)),
    upkeep: isLocalEndpoint(settings.dockerEndpoint) ? new NoUpkeep() : undefined,
    tidyProbes: () => Promise.resolve(),
    streaming: () => new NoStreaming(),
    controlPath: undefined,
    refusal: () => failedPrecondition(`this dockbridge only answers calls that read: ${WHY}`),
  };
}

function refuseKubeletsSocket(endpoint: string): void {
  // A socket from systemd is refused, because its clients expect a runtime that serves them.
  const isTaken =
    endpoint.startsWith('fd:') ||
    TAKEN.includes(resolve(endpoint.replace(/^unix:\/\//, '')).replace(/^\/var\/run\//, '/run/'));
  if (isTaken)
    throw invalidArgument(
      '--container-runtime-endpoint',
      `"${endpoint}" is a socket on which kubelet expects its runtime: with --observe, give another socket, or omit the option to use the default`,
    );
}
