import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChildDaemon } from './support/child-daemon';
import { EventWatch } from './support/event-watch';
import { containerConfig, readLogText } from './support/pods';

const metadata = { name: 'pod', uid: 'uid', namespace: 'disk', attempt: 0 };

let place: string;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'dockbridge-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place]);
});
afterEach(async () => {
  execFileSync('umount', ['-l', place]);
  await rm(place, { recursive: true });
});

/** Fills the disk completely. */
function fill(): void {
  try {
    for (let part = 0; ; part++) writeFileSync(join(place, `ballast-${part}`), Buffer.alloc(4096));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  }
}

/** Frees the space again. */
function empty(): void {
  for (const name of readdirSync(place)) if (name.startsWith('ballast-')) rmSync(join(place, name));
}

/** Remounts the directory. The kernel refuses this while the daemon writes a file there. */
function remount(how: 'ro' | 'rw'): void {
  for (;;) {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${how}`, place], { encoding: 'utf8' });
    if (status === 0) return;
    expect(stderr).toMatch(/busy/);
  }
}

const TROUBLES = {
  full: { come: fill, go: empty },
  'read-only': { come: () => remount('ro'), go: () => remount('rw') },
};

/** Returns all names below a directory. */
function names(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String);
}

describe.each(Object.entries(TROUBLES))('a daemon whose directory is %s', (_, { come, go }) => {
  it.each(['--state-dir', '--run-dir'])(
    'starts, runs pods, and logs the problem once (%s)',
    async (option) => {
      // An earlier daemon has made this directory.
      mkdirSync(join(place, 'dir/logs'), { recursive: true });
      come();
      const daemon = await ChildDaemon.start([option, join(place, 'dir')]);
      try {
        const { status } = await daemon.client.call('Status', {});
        expect(status?.conditions.map((condition) => condition.status)).toEqual([true, true]);
        const id = await daemon.client.call('RunPodSandbox', { config: { metadata, linux: {} } });
        await daemon.client.call('StopPodSandbox', id);
        await daemon.client.call('RemovePodSandbox', id);
        expect(
          daemon.log.filter(({ message }) => /^Cannot write to the (state|run) directory$/.test(message)),
        ).toHaveLength(1);
      } finally {
        expect(await daemon.stop()).toBe(0);
      }
      expect(names(place).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
  );

  it.each(['--state-dir', '--run-dir'])(
    'copies all output of containers if the problem comes after its start, even after kill -9 (%s)',
    async (option) => {
      mkdirSync(join(place, 'dir'));
      const daemon = await ChildDaemon.start([option, join(place, 'dir')]);
      try {
        const logs = join(daemon.directory, 'logs');
        const config = { metadata, linux: {}, log_directory: logs };
        const { pod_sandbox_id } = await daemon.client.call('RunPodSandbox', { config });
        /** Returns the CRI log of a container that has counted to 200 and ended. */
        const count = async (name: string): Promise<string> => {
          const watch = await EventWatch.open(daemon.client);
          const { container_id } = await daemon.client.call('CreateContainer', {
            pod_sandbox_id,
            config: containerConfig(name, 'seq 200'),
          });
          await daemon.client.call('StartContainer', { container_id });
          await watch.untilSaid(container_id, 'stopped');
          await watch.close();
          return readLogText(join(logs, `${name}.log`));
        };
        const counted = Array.from({ length: 200 }, (_each, at) => `${at + 1}\n`).join('');
        const told: string[] = [];
        const tell = async (name: string): Promise<void> => {
          expect(await count(name)).toBe(counted);
          told.push(name);
        };
        await tell('before');
        come();
        await tell('meanwhile');
        await daemon.kill9();
        await daemon.launch();
        await tell('still');
        go();
        await tell('after');
        await daemon.kill9();
        await daemon.launch();
        for (const name of told) expect(await readLogText(join(logs, `${name}.log`))).toBe(counted);
        await daemon.client.call('StopPodSandbox', { pod_sandbox_id });
        await daemon.client.call('RemovePodSandbox', { pod_sandbox_id });
      } finally {
        expect(await daemon.stop()).toBe(0);
      }
      expect(names(place).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
    240_000,
  );
});
