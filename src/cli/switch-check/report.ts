import type { NodeProcess } from '../../node/process/node-processes';

/** How bad a note is: `note` can be read later, `warning` before, `problem` is a reason not to switch. */
export type Severity = 'note' | 'warning' | 'problem';

export interface Note {
  readonly severity: Severity;
  readonly text: string;
}

export type NetworkKind =
  'CNI' | 'CNI, no usable cache entry' | 'kubenet' | 'host' | 'Docker bridge' | 'unknown';

export interface ContainerPlan {
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly logDriver: string;
  /** What becomes of its log. */
  readonly log: string;
}

/** What a pod will look like after the switch. */
export interface PodPlan {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly attempt: number;
  readonly madeBy: 'dockbridge' | 'another runtime';
  readonly state: 'ready' | 'not ready';
  readonly network: NetworkKind;
  readonly ips: readonly string[];
  /** `8080→80/tcp`, with the node's address before it where there is one. */
  readonly hostPorts: readonly string[];
  readonly checkpoint: boolean;
  readonly containers: readonly ContainerPlan[];
  readonly notes: readonly Note[];
}

/** `-o json` prints this. */
export interface SwitchReport {
  readonly engine: { readonly endpoint: string; readonly version: string; readonly cgroupDriver: string };
  readonly processes: readonly NodeProcess[];
  readonly files: readonly string[];
  readonly checkpoints: readonly {
    readonly directory: string;
    readonly count: number;
    /** Ids of sandboxes that the Engine does not have. */
    readonly leftover: readonly string[];
  }[];
  readonly pods: readonly PodPlan[];
  /** Findings about the node as a whole. */
  readonly notes: readonly Note[];
  readonly summary: {
    readonly pods: number;
    readonly containers: number;
    readonly warnings: number;
    readonly problems: number;
  };
}

/** 0: nothing to read first; 1: warnings; 2: problems. */
export function exitCodeOf({ summary }: SwitchReport): 0 | 1 | 2 {
  if (summary.problems > 0) return 2;
  return summary.warnings > 0 ? 1 : 0;
}
