import type { LogFields } from '../../lib/logger';
import type { LaneLoad } from '../../docker/call-lanes';
import type { StateCounts } from '../../metrics/sources';

/** How things stand in a daemon that runs; `dockbridge status -o json` prints this. Ages are seconds. */
export interface StatusReport extends StateCounts {
  readonly version: string;
  readonly pid: number;
  readonly uptime: number;
  /** Why new work is refused; '' when it is not. */
  readonly refuses: string;
  readonly engine: {
    /** `slow` answers late; `stuck` answers pings and can run no pods. */
    readonly state: 'connected' | 'slow' | 'stuck' | 'away';
    /** Why, where it is not simply connected. */
    readonly reason: string;
    /** How long it has been connected, or away. */
    readonly since: number;
    /** '' as long as it has never said. */
    readonly version: string;
    readonly apiVersion: string;
    readonly storageDriver: string;
  };
  readonly network: {
    readonly ready: boolean;
    readonly reason: string;
    readonly message: string;
    /** Networks of pods that are gone, which a plugin has not freed yet. */
    readonly left: number;
    /** Runs of plugins that failed, by `bridge ADD`. */
    readonly failures: Readonly<Record<string, number>>;
  };
  readonly logs: {
    /** '' when all is well. */
    readonly trouble: string;
    /** Undefined when the logs are links, or do not answer. */
    readonly followed?: number;
    readonly lagBytes?: number;
    readonly gaps?: number;
    readonly stalls?: number;
    readonly unreadable?: number;
  };
  readonly images: number;
  readonly sessions: number;
  readonly eventConsumers: number;
  readonly calls: {
    /** CRI calls that have not been answered yet. */
    readonly inFlight: number;
    /** The oldest of them. */
    readonly oldest: readonly CallInFlight[];
    /** Calls of the Engine by kind, those kinds that have any. */
    readonly engine: readonly EngineLane[];
  };
  readonly process: {
    readonly residentBytes: number;
    readonly openFiles: number;
    /** Undefined where there is none. */
    readonly fileLimit?: number | undefined;
  };
}

export interface CallInFlight {
  readonly method: string;
  readonly age: number;
  /** Pod, sandbox, container, image: what the call names. */
  readonly about: LogFields;
}

export interface EngineLane {
  readonly lane: LaneLoad['lane'];
  readonly underWay: number;
  readonly slow: number;
  readonly waiting: number;
  readonly oldestWait: number;
  readonly oldestCall: { readonly what: string; readonly age: number };
}
