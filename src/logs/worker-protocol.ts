import type { LogFields, LogLevel } from '../lib/logger';
import type { Reply } from '../lib/worker-rpc';
import type { LogPlace, LogSource, RelinkedLog, LogStats } from './container-logs';

/** What the log worker is asked to do; one call of `ContainerLogs` each. */
export type WorkerCall =
  | { readonly method: 'follow' | 'salvage' | 'handOver'; readonly source: LogSource }
  | { readonly method: 'note'; readonly place: LogPlace; readonly text: string }
  | { readonly method: 'drain' | 'reopen' | 'forget'; readonly containerId: string }
  | { readonly method: 'retain'; readonly containerIds: ReadonlySet<string> }
  | { readonly method: 'stats' | 'close' };

/** What the calls that ask for something get; the others get an empty one. */
export interface WorkerAnswer {
  readonly stats?: LogStats;
  readonly relinked?: RelinkedLog;
}

export interface WorkerLogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export type WorkerMessage = Reply<WorkerAnswer> | WorkerLogLine;

export interface WorkerSettings {
  readonly stateDir: string;
  /** Whether to go on at once where an earlier process was stopped. */
  readonly resume: boolean;
  /** The shared memory of the worker's WorkMarker. */
  readonly marker: SharedArrayBuffer;
  /** Containers at whose logs an earlier worker still hangs. */
  readonly setAside: readonly string[];
}
