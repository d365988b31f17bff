import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { StartWorker } from '../../../src/lib/worker-rpc';

/** Starts a worker thread from the sources: the code that ships, in the thread in which it ships. */
export const startSourceWorker: StartWorker = (entry, options) =>
  new Worker(entry, { ...options, execArgv: ['--require', join(__dirname, 'load-typescript.cjs')] });
