import { EventEmitter, once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { ContainerState } from '../../src/proto/enums';
import { ChildDaemon } from './support/child-daemon';
import { TEST_IMAGE } from './support/engine';

const KILLS = 10;
const LINES_A_KILL = 100_000;
const LINES_PER_STREAM = KILLS * LINES_A_KILL;
const PERIOD_MS = 1_000;

/**
 * Writes two million lines with one write each, like programs that flush their logs. The speed is not
 * limited, except to 200,000 lines (15 MB of the spool's 64) per kill. The spool must not wrap, however slowly the
 * machine restarts the daemon (docs/logs.md).
 */
const SCRIPT = `
count() {
  i=0
  for kill in $(seq ${KILLS}); do
    until [ -e /gate/$kill ]; do sleep 0.02; done
    end=$((kill * ${LINES_A_KILL}))
    while [ $i -lt $end ]; do i=$((i+1)); echo "$1 $i"; done
  done
}
count err >&2 & count out; wait
until [ -e /gate/end ]; do sleep 0.1; done`;

let daemon: ChildDaemon;
beforeAll(async () => {
  daemon = await ChildDaemon.start();
});
afterAll(() => daemon.stop());

/** Emits `renamed` and `rotated`, so that kills can hit rotations. */
const rotation = new EventEmitter();

/**
 * Rotates once a second as kubelet does: rename, reopen, gzip. It undoes the rename when the reopen fails.
 */
async function rotate(containerId: string, logPath: string, generation: number): Promise<boolean> {
  const rotated = `${logPath}.${String(generation).padStart(4, '0')}`;
  await rename(logPath, rotated);
  rotation.emit('renamed');
  try {
    await daemon.client.call('ReopenContainerLog', { container_id: containerId });
  } catch {
    // The daemon is being killed. The new file may already exist. kubelet's rename would overwrite the
    // new file, and this rename does the same.
    await rename(rotated, logPath);
    return false;
  }
  rotation.emit('rotated');
  await pipeline(createReadStream(rotated), createGzip({ level: 1 }), createWriteStream(`${rotated}.gz`));
  await rm(rotated);
  return true;
}

test('two million lines survive rotation every second and ten kills, each line once and in order', async () => {
  const name = 'flood';
  const logDirectory = join(daemon.logDirectory, name);
  const config = {
    metadata: { name, uid: 'uid-flood', namespace: 'test', attempt: 0 },
    hostname: name,
    log_directory: logDirectory,
    linux: {},
  };
  const gate = join(daemon.directory, 'gate');
  await mkdir(gate);
  const { pod_sandbox_id } = await daemon.client.call('RunPodSandbox', { config });
  const { container_id } = await daemon.client.call('CreateContainer', {
    pod_sandbox_id,
    config: {
      metadata: { name, attempt: 0 },
      image: { image: TEST_IMAGE },
      command: ['/bin/sh', '-c', SCRIPT],
      log_path: '0.log',
      mounts: [{ container_path: '/gate', host_path: gate, readonly: true }],
    },
  });
  const logPath = join(logDirectory, '0.log');
  await daemon.client.call('StartContainer', { container_id });
  const isRunning = async (): Promise<boolean> => {
    const { status } = await daemon.client.call('ContainerStatus', { container_id });
    return status?.state === ContainerState.CONTAINER_RUNNING;
  };

  let ended = false;
  const kill = async (): Promise<void> => {
    for (let kills = 1; kills <= KILLS; kills++) {
      await writeFile(join(gate, String(kills)), '');
      await once(rotation, 'rotated');
      // Every other kill hits the middle of a rotation, and the rest hit any moment between two.
      if (kills % 2 === 0) await once(rotation, 'renamed');
      await delay(Math.random() * (kills % 2 === 0 ? 20 : PERIOD_MS));
      await daemon.kill9();
      await daemon.launch();
    }
  };
  let rotations = 0;
  const rotateEverySecond = async (): Promise<void> => {
    for (let generation = 0; !ended; generation++) {
      // The delay is kubelet's period. It does not wait for a condition.
      await delay(PERIOD_MS);
      if (await rotate(container_id, logPath, generation)) rotations++;
    }
  };
  const rotating = rotateEverySecond();
  await kill();
  await writeFile(join(gate, 'end'), '');
  while (await isRunning()) await delay(100);
  ended = true;
  await rotating;
  expect(rotations).toBeGreaterThanOrEqual(KILLS);

  const files = (await readdir(dirname(logPath))).sort();
  const rotated = files.filter((file) => file !== '0.log').map((file) => join(logDirectory, file));
  const next: Record<string, number> = { stdout: 1, stderr: 1 };
  for (const file of [...rotated, logPath]) {
    const raw = createReadStream(file);
    const input = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
    for await (const line of createInterface({ input })) {
      const [, stream = '', tag, , number] = line.split(' ');
      if (tag !== 'F' || Number(number) !== next[stream]) {
        throw new Error(`${file}: expected number ${next[stream]} of ${stream}, found "${line}"`);
      }
      next[stream] = Number(number) + 1;
    }
  }
  expect(next).toEqual({ stdout: LINES_PER_STREAM + 1, stderr: LINES_PER_STREAM + 1 });
}, 300_000);
