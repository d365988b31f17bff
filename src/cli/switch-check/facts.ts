import type { PodNetworkFound } from '../../network/cni/observed-cni';
import type { NodeProcess } from '../../node/process/node-processes';
import type { EngineContainerInspect } from '../../engine/types';

/** All that `switch check` has read; nothing is judged yet. */
export interface SwitchFacts {
  readonly engine: { readonly endpoint: string; readonly version: string; readonly cgroupDriver: string };
  /** Sandboxes and containers of pods, whoever made them. */
  readonly containers: readonly EngineContainerInspect[];
  /** What is known of running sandboxes on no network of the Engine's, by id. */
  readonly networks: ReadonlyMap<string, PodNetworkFound>;
  readonly processes: readonly NodeProcess[];
  /** Known sockets, unit files and kubelet's files that exist here. */
  readonly files: readonly string[];
  /** Sandbox ids, by the directory that they are kept in. */
  readonly checkpoints: ReadonlyMap<string, readonly string[]>;
  /** Why a pod of today would get no CNI network, '' when it would. */
  readonly cniProblem: string;
  /** The process whose flags were taken over, with those that have no effect in dockbridge. */
  readonly ignoredFlags: readonly { readonly name: string; readonly why: string }[];
  readonly settings: {
    readonly endpoint: string;
    readonly networkPlugin: string;
    readonly cniCacheDir: string;
    readonly containerLogs: 'cri' | 'link';
  };
}
