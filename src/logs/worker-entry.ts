import { parentPort, workerData } from 'node:worker_threads';
import { serveLogWorker } from './worker-side';
import type { WorkerSettings } from './worker-protocol';

// The one file that does something when it is loaded: it is the main module of the log worker.
if (parentPort !== null) serveLogWorker(parentPort, workerData as WorkerSettings);
