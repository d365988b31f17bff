import type { ContainerServices } from '../containers/engine-ops';
import type { DiskLooks } from '../node/disk/disk-looks';
import type { ContainerLogs } from '../logs/container-logs';
import type { NetworkKeeper, PodNetwork } from '../network/pod-network';
import type { SandboxCheckpoints } from '../network/sandbox-checkpoints';
import type { NodeStats } from '../stats/node-stats';
import type { NameReservations } from '../store/name-reservations';
import type { EngineLink } from '../sync/engine-link';
import type { ImageSync } from '../sync/image-sync';
import type { StreamingServer } from '../streaming/server';
import type { NodeRights } from '../node/node-rights';
import type { UsedInodes } from '../node/disk/file-systems';
import type { ImageAccounts, Probes } from './container/probes';
import type { PodEvents } from './events/pod-events';
import type { OutputBudget } from './exec/captured-output';
import type { StartedCommands } from './exec/started-commands';
import type { ImagePulls } from './image/image-pulls';
import type { SandboxImage } from './image/sandbox-image';
import type { Spool } from '../translate/container/container-create';

/** Options that change what handlers do. */
export interface HandlerSettings extends NodeRights {
  readonly spool: Spool;
  /** Whether the Engine runs on this machine, so that dockbridge can see its processes and files. */
  readonly localEngine: boolean;
  readonly dockbridgeVersion: string;
}

/** Everything that handlers use. It is constructed in daemon.ts. */
export interface Services extends ContainerServices {
  readonly reservations: NameReservations;
  readonly imageSync: ImageSync;
  readonly link: Pick<
    EngineLink,
    | 'state'
    | 'trouble'
    | 'whenReady'
    | 'whenConnected'
    | 'whenAnswered'
    | 'whenListed'
    | 'whenContainerKnown'
    | 'whenPodKnown'
    | 'whenSyncedOnce'
    | 'whenImagesSyncedOnce'
    | 'readFactsAgain'
  >;
  readonly network: PodNetwork & Pick<NetworkKeeper, 'detach' | 'setPodCidr'>;
  readonly checkpoints: Pick<SandboxCheckpoints, 'write'>;
  readonly logs: ContainerLogs;
  readonly imagePulls: ImagePulls;
  readonly stats: Pick<NodeStats, 'ofContainer' | 'ofContainers' | 'ofPod' | 'ofPods' | 'podMetrics'>;
  readonly sandboxImage: SandboxImage;
  readonly imageAccounts: ImageAccounts;
  readonly probes: Probes;
  readonly usedInodes: UsedInodes;
  /** Access to paths on this node that pods name. Their disks may hang. */
  readonly hostDisks: DiskLooks;
  readonly podEvents: PodEvents;
  readonly streaming: Pick<StreamingServer, 'execUrl' | 'attachUrl' | 'portForwardUrl'>;
  readonly startedCommands: StartedCommands;
  /** Bounds the memory that the outputs of all ExecSync calls use together. */
  readonly outputBudget: OutputBudget;
  readonly settings: HandlerSettings;
}

/** The context of one call. `signal` fires when the client cancels, when its deadline passes, or when a stream is cut off. */
export interface CallContext {
  readonly signal: AbortSignal;
}
