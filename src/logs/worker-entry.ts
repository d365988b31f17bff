import { setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { LogFields, Logger, LogLevel } from '../lib/logger';
import { answerCalls, type Reply } from '../lib/worker-rpc';
import type { LogPlace, LogSource, RelinkedLog, LogStats } from './container-logs';
import { WorkMarker } from './hang-watch';
import { LogCopier } from './log-copier';
import { dismissibleDisk, nodeLogDisk } from './log-disk';

/** The calls that the log worker accepts. Each corresponds to one method of `ContainerLogs`. */
export type WorkerCall =
  | { readonly method: 'follow' | 'salvage' | 'handOver'; readonly source: LogSource }
  | { readonly method: 'note'; readonly place: LogPlace; readonly text: string }
  | { readonly method: 'drain' | 'reopen' | 'forget'; readonly containerId: string }
  | { readonly method: 'retain'; readonly containerIds: ReadonlySet<string> }
  | { readonly method: 'stats' | 'close' };

/** The answers of the calls that return something. All other calls get an empty answer. */
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
  /** Whether to continue immediately where an earlier process stopped. */
  readonly resume: boolean;
  /** The memory of the worker's WorkMarker, which the main thread shares. */
  readonly marker: SharedArrayBuffer;
  /** Containers whose logs an earlier worker still hangs on. */
  readonly setAside: readonly string[];
}

/** A priority above that of most processes. Output that the Engine discards while we wait for a processor is lost. */
const NICE = -5;

/** Raises the priority. On Linux, this affects the calling thread alone. */
function becomeUrgent(): void {
  try {
    setPriority(NICE);
  } catch {
    // Without CAP_SYS_NICE this is not allowed, and the worker keeps the usual priority.
  }
}

/** Serves the calls that arrive at the port, and copies logs accordingly. */
export function serveLogWorker(port: MessagePort, settings: WorkerSettings): void {
  const send = (line: WorkerLogLine): void => port.postMessage(line);
  const marker = new WorkMarker(settings.marker);
  const disk = dismissibleDisk(nodeLogDisk, marker);
  const logs = new LogCopier({ stateDir: settings.stateDir, logger: loggerTo(send, {}), disk, marker });
  if (settings.resume) logs.resume(new Set(settings.setAside));
  answerCalls<WorkerCall, WorkerAnswer>(
    port,
    (call) => handle(logs, call),
    ({ method }) => {
      if (method === 'close') port.close();
    },
  );
}

async function handle(logs: LogCopier, call: WorkerCall): Promise<WorkerAnswer> {
  switch (call.method) {
    case 'follow':
    case 'salvage':
      await logs[call.method](call.source);
      return {};
    case 'note':
      await logs.note(call.place, call.text);
      return {};
    case 'handOver':
      return { relinked: await logs.handOver(call.source) };
    case 'drain':
    case 'reopen':
    case 'forget':
      await logs[call.method](call.containerId);
      return {};
    case 'retain':
      await logs.retain(call.containerIds);
      return {};
    case 'close':
      await logs.close();
      return {};
    case 'stats':
      return { stats: await logs.stats() };
  }
}

function loggerTo(send: (line: WorkerLogLine) => void, base: LogFields): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void =>
      send({ level, message, fields: { ...base, ...fields } });
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: () => undefined,
    trace: () => undefined,
    with: (fields) => loggerTo(send, { ...base, ...fields }),
  };
}

// Loading this file starts the work, because it is the main module of the log worker.
becomeUrgent();
if (parentPort !== null) serveLogWorker(parentPort, workerData as WorkerSettings);
