import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface StormOptions {
  readonly path: string;
  readonly lines: number;
  readonly maxSize: number;
  readonly maxFile: number;
  /** Pauses for one millisecond after this many lines; 0 means no pause. */
  readonly linesAMillisecond: number;
}

/** dockerd's writer and rotation in plain JavaScript, which runs in a thread without a transpiler. */
const WRITER = `
const fs = require('node:fs');
const { path, lines, maxSize, maxFile, linesAMillisecond } = require('node:worker_threads').workerData;
const cell = new Int32Array(new SharedArrayBuffer(4));
let fd = fs.openSync(path, 'a');
let size = 0;
for (let i = 0; i < lines; i++) {
  if (size >= maxSize) {
    fs.closeSync(fd);
    fs.rmSync(path + '.' + (maxFile - 1), { force: true });
    for (let n = maxFile - 1; n > 1; n--) {
      try { fs.renameSync(path + '.' + (n - 1), path + '.' + n); } catch {}
    }
    fs.renameSync(path, path + '.1');
    fd = fs.openSync(path, 'w');
    size = 0;
  }
  const stream = i % 2 === 0 ? 'stdout' : 'stderr';
  const time = new Date(1.7e12 + i).toISOString();
  size += fs.writeSync(fd, '{"log":"line ' + i + '\\\\n","stream":"' + stream + '","time":"' + time + '"}\\n');
  if (linesAMillisecond > 0 && i % linesAMillisecond === 0) Atomics.wait(cell, 0, 0, 1);
}
`;

/**
 * Writes numbered lines into a spool from a separate thread, as fast as the options allow. Resolves when all
 * lines are written.
 */
export async function storm(options: StormOptions): Promise<void> {
  const worker = new Worker(WRITER, { eval: true, workerData: options });
  await once(worker, 'exit');
}
