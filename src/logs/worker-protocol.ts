import type { ErrorCode } from '../lib/errors';
import type { LogFields, LogLevel } from '../lib/logger';
import type { LogPlace, LogSource, RelinkedLog, LogStats } from './container-logs';

/** What the log worker is asked to do; one call of `ContainerLogs` each. */
export type WorkerCall =
  | { readonly method: 'follow' | 'salvage' | 'handOver'; readonly source: LogSource }
  | { readonly method: 'note'; readonly place: LogPlace; readonly text: string }
  | { readonly method: 'drain' | 'reopen' | 'forget'; readonly containerId: string }
  | { readonly method: 'retain'; readonly containerIds: ReadonlySet<string> }
  | { readonly method: 'stats' | 'close' };

export type WorkerRequest = WorkerCall & { readonly id: number };

export interface WorkerReply {
  readonly kind: 'reply';
  readonly id: number;
  readonly stats?: LogStats;
  readonly relinked?: RelinkedLog;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

export interface WorkerLogLine {
  readonly kind: 'log';
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export type WorkerMessage = WorkerReply | WorkerLogLine;

export interface WorkerSettings {
  readonly stateDir: string;
  /** Whether to go on at once where an earlier process was stopped. */
  readonly resume: boolean;
  /** The shared memory of the worker's WorkMarker. */
  readonly marker: SharedArrayBuffer;
  /** Containers at whose logs an earlier worker still hangs. */
  readonly setAside: readonly string[];
}
