import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { StartWorker } from '../../../src/lib/worker-rpc';

/**
 * Starts a worker thread from the sources, so that the shipped code runs in the same kind of thread as in
 * production.
 */
export const startSourceWorker: StartWorker = (entry, options) =>
  new Worker(entry, { ...options, execArgv: ['--require', join(__dirname, 'load-typescript.cjs')] });
