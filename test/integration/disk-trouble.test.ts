import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChildDaemon } from './support/child-daemon';

const metadata = { name: 'pod', uid: 'uid', namespace: 'disk', attempt: 0 };

let place: string;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'dockbridge-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', place]);
});
afterEach(async () => {
  execFileSync('umount', ['-l', place]);
  await rm(place, { recursive: true });
});

/** Leaves no byte free. */
function fill(): void {
  try {
    for (let part = 0; ; part++) writeFileSync(join(place, `ballast-${part}`), Buffer.alloc(4096));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  }
}

const TROUBLES = {
  full: fill,
  'read-only': () => execFileSync('mount', ['-o', 'remount,ro', place]),
};

/** All names below a directory. */
function names(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String);
}

describe.each(Object.entries(TROUBLES))('a daemon whose directory is %s', (_, trouble) => {
  it.each(['--state-dir', '--run-dir'])('serves all the same (%s)', async (option) => {
    // As a daemon that ran before left it.
    mkdirSync(join(place, 'dir/logs'), { recursive: true });
    trouble();
    const daemon = await ChildDaemon.start([option, join(place, 'dir')]);
    try {
      const { status } = await daemon.client.call('Status', {});
      expect(status?.conditions.map((condition) => condition.status)).toEqual([true, true]);
      const id = await daemon.client.call('RunPodSandbox', { config: { metadata, linux: {} } });
      await daemon.client.call('StopPodSandbox', id);
      await daemon.client.call('RemovePodSandbox', id);
      expect(daemon.log.filter(({ message }) => message.includes('cannot be written to'))).toHaveLength(1);
    } finally {
      expect(await daemon.stop()).toBe(0);
    }
    expect(names(place).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
