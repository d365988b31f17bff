import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { WorkerDiskWork } from '../../../src/stats/disk/worker-disk-work';
import { compileWorker } from '../support/compile-worker';
import { rejectionOf } from '../support/errors';

describe('WorkerDiskWork', () => {
  let root: string;
  let work: WorkerDiskWork;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dockbridge-disk-'));
    work = new WorkerDiskWork(compileWorker('stats/disk', join(root, 'dist')), silentLogger);
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

  it('refuses work once it is closed', async () => {
    await work.openFiles([]);
    await work.close();
    expect(await rejectionOf(work.measure(root))).toMatch(/^UNAVAILABLE/);
  });
});
