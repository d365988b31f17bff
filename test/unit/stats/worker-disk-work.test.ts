import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { silentLogger } from '../../../src/lib/logger';
import { WorkerDiskWork } from '../../../src/stats/disk/worker-disk-work';
import { until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { startSourceWorker } from '../support/source-worker';

const ENTRY = require.resolve('../../../src/stats/disk/worker-entry');

describe('WorkerDiskWork', () => {
  let root: string;
  let work: WorkerDiskWork;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dockbridge-disk-'));
    work = new WorkerDiskWork(ENTRY, silentLogger, { startWorker: startSourceWorker });
  });
  afterEach(async () => {
    await work.close();
    await rm(root, { recursive: true, force: true });
  });

  it('measures and counts in its thread', async () => {
    await writeFile(join(root, 'file'), Buffer.alloc(1_000_000, 1));
    const before = await work.openFiles([process.pid]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve));
    const [measured, after] = await Promise.all([work.measure(root), work.openFiles([process.pid])]);
    server.close();
    expect(measured?.bytes).toBeGreaterThan(1_000_000);
    expect(after.sockets).toBe(before.sockets + 1);
    expect(await work.measure('/no/such/directory')).toBeUndefined();
  });

  describe('with a thread that hangs', () => {
    let stuck: WorkerDiskWork;
    beforeEach(async () => {
      const fifo = join(root, 'fifo');
      await promisify(execFile)('mkfifo', [fifo]);
      const entry = join(root, 'stuck.js');
      // This stands for a system call that hangs on a dead disk: open on a FIFO without a writer.
      await writeFile(
        entry,
        `const { openSync, writeFileSync } = require('node:fs');
        require('node:worker_threads').parentPort.once('message', () => {
          writeFileSync(${JSON.stringify(join(root, 'here'))}, '');
          openSync(${JSON.stringify(fifo)}, 'r');
        });`,
      );
      stuck = new WorkerDiskWork(entry, silentLogger, { maxPending: 3, terminateMs: 10 });
    });
    afterEach(async () => {
      await stuck.close();
      // The thread may end now.
      await (await open(join(root, 'fifo'), 'r+')).close();
    });

    it('accepts only a few requests', async () => {
      const first = [1, 2, 3].map((pid) => rejectionOf(stuck.openFiles([pid])));
      expect(await rejectionOf(stuck.openFiles([4]))).toMatch(/^RESOURCE_EXHAUSTED/);
      await stuck.close();
      expect(await Promise.all(first)).toEqual(Array(3).fill('UNAVAILABLE the disk worker is closed'));
    });

    it('does not delay close', async () => {
      const asked = rejectionOf(stuck.measure(root));
      await until(() => existsSync(join(root, 'here')));
      await stuck.close();
      expect(await asked).toMatch(/^UNAVAILABLE/);
    });
  });

  it('refuses work once it is closed', async () => {
    await work.openFiles([]);
    await work.close();
    expect(await rejectionOf(work.measure(root))).toMatch(/^UNAVAILABLE/);
  });
});
