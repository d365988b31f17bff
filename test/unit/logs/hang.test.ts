import { execFile, execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WorkerLogs } from '../../../src/logs/worker-logs';
import { startSourceWorker } from '../support/source-worker';
import { describeAsRoot } from '../support/root';
import { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom } from './support/log-room';

const run = promisify(execFile);

/** A file system that can be made to hang like one on a dead disk or NFS server: a frozen ext4. */
class FrozenDisk {
  private frozen = false;

  constructor(private readonly mountPoint: string) {
    const image = `${mountPoint}.img`;
    fs.writeFileSync(image, '');
    fs.truncateSync(image, 16 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', image]);
    fs.mkdirSync(mountPoint);
    execFileSync('mount', ['-o', 'loop', image, mountPoint]);
  }

  async freeze(): Promise<void> {
    await run('fsfreeze', ['-f', this.mountPoint]);
    this.frozen = true;
  }

  async thaw(): Promise<void> {
    if (this.frozen) await run('fsfreeze', ['-u', this.mountPoint]);
    this.frozen = false;
  }

  async remove(): Promise<void> {
    await this.thaw();
    // The command runs asynchronously, because threads that have a file open there end only now, after the thaw.
    await run('umount', ['-l', this.mountPoint]);
  }
}

describeAsRoot('a log on a file system that hangs', () => {
  let room: LogRoom;
  let logs: WorkerLogs;
  let disk: FrozenDisk;
  let hanging: FakeDockerLog;
  let healthy: FakeDockerLog;
  const sourceOf = (id: string, logPath: string) => ({
    containerId: id,
    spoolPath: join(room.root, `docker/${id}/${id}-json.log`),
    logPath,
  });

  beforeEach(async () => {
    room = new LogRoom();
    disk = new FrozenDisk(join(room.root, 'disk'));
    logs = new WorkerLogs({
      stateDir: room.stateDir,
      logger: room.logger(),
      entry: require.resolve('../../../src/logs/worker-entry'),
      overrides: { startWorker: startSourceWorker, hangTimes: { lookMs: 200, looks: 5 } },
    });
    fs.mkdirSync(join(room.root, 'docker/c2'));
    healthy = room.docker();
    hanging = new FakeDockerLog(hung().spoolPath);
    await logs.follow(room.source);
    await logs.follow(hung());
    hanging.write('line 0');
    await logs.drain('c2');
  });
  afterEach(async () => {
    await disk.thaw();
    await logs.close();
    await disk.remove();
    await room.dispose();
  });

  const hung = () => sourceOf('c2', join(room.root, 'disk/pod/app/0.log'));

  it('delays no other log, is reported, and loses or repeats no line when the disk answers again', async () => {
    await disk.freeze();
    hanging.write('line 1');
    // The drain of this log waits for the hanging call until the hang is noticed.
    await logs.drain('c2');
    expect(logs.trouble).toEqual({
      reason: 'LogsHang',
      message: expect.stringMatching(/does not answer \(container c2\)$/) as string,
    });
    healthy.write('healthy');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['healthy']);
    await expect(logs.reopen('c2')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    hanging.write('line 2');
    await disk.thaw();
    const path = hung().logPath;
    const changed = fs.watch(path);
    try {
      while (!room.content(path).includes('line 2'))
        await new Promise<void>((resolve) => void changed.once('change', () => resolve()));
    } finally {
      changed.close();
    }
    await logs.drain('c2');
    expect(room.texts(path)).toEqual(['line 0', 'line 1', 'line 2']);
    expect(logs.trouble).toBeUndefined();
    healthy.write('still healthy');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['healthy', 'still healthy']);
  });

  it('does not delay the end of the daemon', async () => {
    await disk.freeze();
    hanging.write('line 1');
    await logs.drain('c2');
    healthy.write('last words');
    await logs.close();
    expect(logs.trouble).toBeDefined();
    await disk.thaw();
    expect(room.texts(hung().logPath)[0]).toBe('line 0');
  });
});
