import { setPriority } from 'node:os';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../../lib/errors';
import { InThreadDiskWork } from './disk-work';
import type { DiskReply, DiskRequest } from './worker-protocol';

/** Behind all else on the node. On Linux the caller's thread alone. */
const NICE = 19;

function serve(port: MessagePort): void {
  const work = new InThreadDiskWork();
  const handle = async (request: DiskRequest): Promise<DiskReply> => {
    const { id } = request;
    return request.method === 'measure'
      ? { id, measured: await work.measure(request.directory) }
      : { id, openFiles: await work.openFiles(request.pids) };
  };
  port.on('message', (request: DiskRequest) => {
    handle(request).then(
      (reply) => port.postMessage(reply),
      (error: unknown) => port.postMessage({ id: request.id, error: messageOf(error) } satisfies DiskReply),
    );
  });
}

// Something happens when this file is loaded: it is the main module of the disk worker.
setPriority(NICE);
if (parentPort !== null) serve(parentPort);
