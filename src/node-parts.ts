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

/** Callbacks for what happens on the pods' network. */
export interface NetworkObservers {
  readonly observe: PluginObserver;
  /** A new pod asked for that capability of CNI, and no plugin has it. */
  readonly onUnserved: (capability: string) => void;
  readonly tracer: Tracer;
}

/**
 * The parts of a daemon that can touch its node. `serve` is made with those of acting.ts, `serve --observe` with those of
 * observing.ts; nothing else knows which of them it is (docs/adr/0023-observing-beside-another-runtime.md).
 */
export interface NodeParts {
  /** Keeps two that serve from one Engine. */
  readonly engineClaim: EngineClaim;
  /** What the Engine told an earlier process about itself. */
  readonly factsMemory: FactsMemory;
  /** Stands between us and the Engine. */
  readonly door: (client: DockerClient) => DockerClient;
  /** @param refresh looks at a sandbox again, after something that no event of the Engine tells of. */
  readonly openNetwork: (
    observers: NetworkObservers,
    refresh: (sandboxId: string) => void,
  ) => Promise<PodNetworks>;
  readonly checkpoints: Checkpoints;
  /** Commands in containers, those of a killed daemon among them. */
  readonly openCommands: () => Promise<StartedCommands>;
  /** Sandboxes, those that a killed daemon left among them. */
  readonly openUnfinished: () => Promise<UnfinishedSandboxes>;
  /** Undefined where the Engine is on another machine. */
  readonly upkeep: Upkeep | undefined;
  /** Once, with all of the Engine's containers. Never rejects. */
  readonly tidyProbes: (probes: Probes, all: readonly EngineContainerSummary[]) => Promise<void>;
  readonly streaming: (open: () => Streaming) => Streaming;
  /** The socket where a hand-over of the node is asked for; undefined where there is nothing to hand over. */
  readonly controlPath: string | undefined;
  /** Why a call that does more than answer is refused. */
  readonly refusal: () => RuntimeError | undefined;
}
