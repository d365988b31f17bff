import type { MessagePort } from 'node:worker_threads';
import { messageOf, RuntimeError } from '../lib/errors';
import type { LogFields, Logger, LogLevel } from '../lib/logger';
import { dismissibleDisk } from './dismissible-disk';
import { InProcessLogs } from './in-process-logs';
import { nodeLogDisk } from './log-disk';
import { WorkMarker } from './work-marker';
import type { WorkerMessage, WorkerReply, WorkerRequest, WorkerSettings } from './worker-protocol';

/** Answers the requests that arrive at the port. */
export function serveLogWorker(port: MessagePort, settings: WorkerSettings): void {
  const send = (message: WorkerMessage): void => port.postMessage(message);
  const marker = new WorkMarker(settings.marker);
  const disk = dismissibleDisk(nodeLogDisk, marker);
  const logs = new InProcessLogs({ stateDir: settings.stateDir, logger: loggerTo(send, {}), disk, marker });
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
  logs: InProcessLogs,
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
