import { createReadStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { createWriteStream } from 'node:fs';
import { createGunzip, createGzip } from 'node:zlib';
import { ContainerState } from '../../src/proto/enums';
import { ChildDaemon } from './support/child-daemon';
import { TEST_IMAGE } from './support/engine';

const LINES_PER_STREAM = 1_000_000;
const KILLS = 10;

/** Two million lines, a write each, as programs do that flush their logs. */
const SCRIPT = `
count() { i=0; while [ $i -lt ${LINES_PER_STREAM} ]; do i=$((i+1)); echo "$1 $i"; done; }
count err >&2 & count out; wait`;

let daemon: ChildDaemon;
beforeAll(async () => {
  daemon = await ChildDaemon.start();
});
afterAll(() => daemon.stop());

/** What kubelet does once a second here: rename, reopen, gzip; the rename is taken back when the reopen fails. */
async function rotate(containerId: string, logPath: string, generation: number): Promise<boolean> {
  const rotated = `${logPath}.${String(generation).padStart(4, '0')}`;
  await rename(logPath, rotated);
  try {
    await daemon.client.call('ReopenContainerLog', { container_id: containerId });
  } catch {
    // The daemon is being killed. The new file may exist already: kubelet's rename would overwrite it, and so do we.
    await rename(rotated, logPath);
    return false;
  }
  await pipeline(createReadStream(rotated), createGzip({ level: 1 }), createWriteStream(`${rotated}.gz`));
  await rm(rotated);
  return true;
}

test('two million lines survive rotation every second and ten kills, each once and in order', async () => {
  const name = 'flood';
  const logDirectory = join(daemon.logDirectory, name);
  const config = {
    metadata: { name, uid: 'uid-flood', namespace: 'test', attempt: 0 },
    hostname: name,
    log_directory: logDirectory,
    linux: {},
  };
  const { pod_sandbox_id } = await daemon.client.call('RunPodSandbox', { config });
  const { container_id } = await daemon.client.call('CreateContainer', {
    pod_sandbox_id,
    config: {
      metadata: { name, attempt: 0 },
      image: { image: TEST_IMAGE },
      command: ['/bin/sh', '-c', SCRIPT],
      log_path: '0.log',
    },
  });
  const logPath = join(logDirectory, '0.log');
  await daemon.client.call('StartContainer', { container_id });
  const isRunning = async (): Promise<boolean> => {
    const { status } = await daemon.client.call('ContainerStatus', { container_id });
    return status?.state === ContainerState.CONTAINER_RUNNING;
  };

  let ended = false;
  let kills = 0;
  const kill = async (): Promise<void> => {
    for (; kills < KILLS && !ended; kills++) {
      // Anywhere between start-up and the next rotation.
      await delay(Math.random() * 600);
      await daemon.kill9();
      await daemon.launch();
    }
  };
  let rotations = 0;
  const rotateEverySecond = async (): Promise<void> => {
    for (let generation = 0; !ended; generation++) {
      // A schedule, not a wait: kubelet's period.
      await delay(1_000);
      if (await rotate(container_id, logPath, generation)) rotations++;
    }
  };
  const rotating = rotateEverySecond();
  await kill();
  while (await isRunning()) await delay(100);
  ended = true;
  await rotating;
  expect(kills).toBe(KILLS);
  expect(rotations).toBeGreaterThan(0);

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
  expect((await stat(logPath)).size).toBeGreaterThan(0);
}, 300_000);
