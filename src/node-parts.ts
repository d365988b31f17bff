import type { DockerClient } from './docker/client';
import type { RuntimeError } from './lib/errors';
import type { Tracer } from './lib/tracer';
import type { PluginObserver } from './network/cni/plugin-chain';
import type { PodNetworks } from './network/pod-networks';
import type { Checkpoints } from './network/sandbox-checkpoints';
import type { Probes } from './server/container/probes';
import type { StartedCommands } from './server/exec/started-commands';
import type { Streaming } from './streaming/server';
import type { EngineClaim } from './sync/engine-claim';
import type { FactsMemory } from './sync/facts-memory';
import type { UnfinishedSandboxes } from './containers/unfinished-sandboxes';
import type { Upkeep } from './containers/upkeep';
import type { EngineContainerSummary } from './engine/types';

/** Callbacks for events on the pods' network. */
export interface NetworkObservers {
  readonly observe: PluginObserver;
  /** Called when a new pod requested a CNI capability that no plugin has. */
  readonly onUnserved: (capability: string) => void;
  readonly tracer: Tracer;
}

/**
 * The parts of a daemon that may change its node. `serve` uses the parts from acting.ts, and `serve --observe` uses those from
 * observing.ts. No other code knows which of the two it has (docs/adr/0023-observing-beside-another-runtime.md).
 */
export interface NodeParts {
  /** The claim that prevents two daemons from serving the same Engine. */
  readonly engineClaim: EngineClaim;
  /** The facts about the Engine that an earlier process has saved. */
  readonly factsMemory: FactsMemory;
  /** Wraps the client through which we call the Engine. */
  readonly door: (client: DockerClient) => DockerClient;
  /** @param refresh inspects a sandbox again, after a change for which the Engine sends no event. */
  readonly openNetwork: (
    observers: NetworkObservers,
    refresh: (sandboxId: string) => void,
  ) => Promise<PodNetworks>;
  readonly checkpoints: Checkpoints;
  /** The commands in containers, including those of a killed daemon. */
  readonly openCommands: () => Promise<StartedCommands>;
  /** The sandboxes whose creation has not finished, including those of a killed daemon. */
  readonly openUnfinished: () => Promise<UnfinishedSandboxes>;
  /** Undefined when the Engine is on another machine. */
  readonly upkeep: Upkeep | undefined;
  /** Called once, with all of the Engine's containers. Never rejects. */
  readonly tidyProbes: (probes: Probes, all: readonly EngineContainerSummary[]) => Promise<void>;
  readonly streaming: (open: () => Streaming) => Streaming;
  /** The socket on which a hand-over of the node can be requested; undefined when there is nothing to hand over. */
  readonly controlPath: string | undefined;
  /** The reason for refusing a call that would change something. */
  readonly refusal: () => RuntimeError | undefined;
}
