import { setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf, RuntimeError } from '../lib/errors';
import type { LogFields, Logger, LogLevel } from '../lib/logger';
import { WorkMarker } from './hang-watch';
import { LogCopier } from './log-copier';
import { dismissibleDisk, nodeLogDisk } from './log-disk';
import type { WorkerSettings, WorkerMessage, WorkerReply, WorkerRequest } from './worker-protocol';

/** Above most of the node: what the Engine's spool loses because we waited for a processor is lost for good. */
const NICE = -5;

/** On Linux the caller's thread alone. */
function becomeUrgent(): void {
  try {
    setPriority(NICE);
  } catch {
    // Not allowed (no CAP_SYS_NICE): then as all others.
  }
}

/** Answers the requests that arrive at the port. */
function serveLogWorker(port: MessagePort, settings: WorkerSettings): void {
  const send = (message: WorkerMessage): void => port.postMessage(message);
  const marker = new WorkMarker(settings.marker);
  const disk = dismissibleDisk(nodeLogDisk, marker);
  const logs = new LogCopier({ stateDir: settings.stateDir, logger: loggerTo(send, {}), disk, marker });
  if (settings.resume) logs.resume(new Set(settings.setAside));
  port.on('message', (request: WorkerRequest) => {
    void handle(logs, request).then(
      (answer) => {
        send({ kind: 'reply', id: request.id, ...answer });
        if (request.method === 'close') port.close();
      },
      (error: unknown) =>
        send({
          kind: 'reply',
          id: request.id,
          error: { code: error instanceof RuntimeError ? error.code : 'INTERNAL', message: messageOf(error) },
        }),
    );
  });
}

async function handle(
  logs: LogCopier,
  request: WorkerRequest,
): Promise<Pick<WorkerReply, 'stats' | 'relinked'>> {
  switch (request.method) {
    case 'follow':
    case 'salvage':
      await logs[request.method](request.source);
      return {};
    case 'note':
      await logs.note(request.place, request.text);
      return {};
    case 'handOver':
      return { relinked: await logs.handOver(request.source) };
    case 'drain':
    case 'reopen':
    case 'forget':
      await logs[request.method](request.containerId);
      return {};
    case 'retain':
      await logs.retain(request.containerIds);
      return {};
    case 'close':
      await logs.close();
      return {};
    case 'stats':
      return { stats: await logs.stats() };
  }
}

function loggerTo(send: (message: WorkerMessage) => void, base: LogFields): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void =>
      send({ kind: 'log', level, message, fields: { ...base, ...fields } });
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: () => undefined,
    trace: () => undefined,
    with: (fields) => loggerTo(send, { ...base, ...fields }),
  };
}

// The one file that does something when it is loaded: it is the main module of the log worker.
becomeUrgent();
if (parentPort !== null) serveLogWorker(parentPort, workerData as WorkerSettings);
