import { setPriority } from 'node:os';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { answerCalls } from '../../lib/worker-rpc';
import { InThreadDiskWork, type Measured, type OpenFiles } from './disk-work';

/** The calls that the disk worker accepts. Each corresponds to one method of `DiskWork`. */
export type DiskCall =
  | { readonly method: 'measure'; readonly directory: string }
  | { readonly method: 'openFiles'; readonly pids: readonly number[] };

export interface DiskAnswer {
  readonly measured?: Measured | undefined;
  readonly openFiles?: OpenFiles;
}

/** The lowest priority on the node. On Linux this sets the priority of the calling thread alone. */
const NICE = 19;

function serve(port: MessagePort): void {
  const work = new InThreadDiskWork();
  answerCalls<DiskCall, DiskAnswer>(port, async (call) =>
    call.method === 'measure'
      ? { measured: await work.measure(call.directory) }
      : { openFiles: await work.openFiles(call.pids) },
  );
}

// Loading this file starts the work, because it is the main module of the disk worker.
setPriority(NICE);
if (parentPort !== null) serve(parentPort);
