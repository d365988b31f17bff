import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { serveLogWorker } from './worker-side';
import type { WorkerSettings } from './worker-protocol';

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

// The one file that does something when it is loaded: it is the main module of the log worker.
becomeUrgent();
if (parentPort !== null) serveLogWorker(parentPort, workerData as WorkerSettings);
