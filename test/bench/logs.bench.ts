import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { forEachLimited } from '../../src/lib/async/concurrency';
import { ContainerState } from '../../src/proto/enums';
import { ChildDaemon } from '../integration/support/child-daemon';
import { TEST_IMAGE } from '../integration/support/engine';
import { print } from './measure';
import { cpuSeconds, dockerdPid } from './processes';

const MB = 1_000_000;
/** The limit above the idle daemon: two buffers of 256 KiB, and garbage that V8 has not collected yet. */
const MOST_GROWTH_MB = 64;
const IDLE_CONTAINERS = 200;
const IDLE_SECONDS = 30;
/** A small machine needs a minute to start two hundred containers and another to remove them. */
const PATIENCE_MS = 600_000;

async function memoryMb(pid: number, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const kib = new RegExp(`${field}:\\s+(\\d+)`).exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kib) * 1024) / MB;
}

describe('container logs', () => {
  let daemon: ChildDaemon;
  let dockerd: number;
  let pod: string;
  beforeAll(async () => {
    daemon = await ChildDaemon.start();
    dockerd = await dockerdPid();
    const config = {
      metadata: { name: 'bench', uid: 'uid-bench', namespace: 'bench', attempt: 0 },
      log_directory: daemon.logDirectory,
      linux: {},
    };
    pod = (await daemon.client.call('RunPodSandbox', { config })).pod_sandbox_id;
  });
  afterAll(async () => {
    await daemon.client.call('RemovePodSandbox', { pod_sandbox_id: pod }, PATIENCE_MS);
    await daemon.stop();
  }, PATIENCE_MS);

  async function start(name: string, script: string): Promise<string> {
    const { container_id } = await daemon.client.call(
      'CreateContainer',
      {
        pod_sandbox_id: pod,
        config: {
          metadata: { name, attempt: 0 },
          image: { image: TEST_IMAGE },
          command: ['/bin/sh', '-c', script],
          log_path: `${name}.log`,
        },
      },
      60_000,
    );
    await daemon.client.call('StartContainer', { container_id }, 60_000);
    return container_id;
  }

  test.each([
    [20, 3_000_000],
    [100, 2_000_000],
    [4_000, 100_000],
  ])('take lines of %d bytes as fast as the Engine writes them', async (length, lines) => {
    await writeFile(`/proc/${daemon.pid}/clear_refs`, '5');
    const idle = await memoryMb(daemon.pid, 'VmRSS');
    const before = { bridge: await cpuSeconds(daemon.pid), dockerd: await cpuSeconds(dockerd) };
    const name = `flood-${length}`;
    const id = await start(name, `yes "$(head -c ${length} /dev/zero | tr '\\0' x)" | head -n ${lines}`);
    let status;
    do {
      await delay(50);
      ({ status } = await daemon.client.call('ContainerStatus', { container_id: id }));
    } while (status?.state === ContainerState.CONTAINER_RUNNING);
    // The record says exited once the log is complete, so any line that is missing then is lost.
    const lag = Date.now() - Number(status?.finished_at ?? 0) / 1e6;
    const seconds = Number(status?.finished_at.sub(status.started_at)) / 1e9;
    const peak = await memoryMb(daemon.pid, 'VmHWM');
    const used = {
      bridge: (await cpuSeconds(daemon.pid)) - before.bridge,
      dockerd: (await cpuSeconds(dockerd)) - before.dockerd,
    };
    const { size } = await stat(join(daemon.logDirectory, `${name}.log`));
    const gb = size / 1e9;
    const ratio = used.bridge / used.dockerd;
    print(
      `\n${lines} lines of ${length} bytes: a log of ${(size / MB).toFixed(0)} MB in ${seconds.toFixed(1)} s`,
    );
    print(
      `  rate                     ${(size / MB / seconds).toFixed(1)} MB/s, complete ${lag.toFixed(0)} ms after the container's end`,
    );
    print(`  CPU s/GB, dockerd        ${(used.dockerd / gb).toFixed(1)}`);
    print(
      `  CPU s/GB, dockbridge     ${(used.bridge / gb).toFixed(1)} (whole process): ${ratio.toFixed(2)} of dockerd's`,
    );
    print(
      `  memory, dockbridge       ${idle.toFixed(0)} MB before, peak ${peak.toFixed(0)} MB, bound ${(idle + MOST_GROWTH_MB).toFixed(0)} MB`,
    );
    // The time stamp, stream, tag and line break are 41 bytes. The line of a gap would change the total as
    // well.
    expect(size).toBe(lines * (length + 41));
    expect(ratio).toBeLessThan(1);
    expect(peak).toBeLessThan(idle + MOST_GROWTH_MB);
  });

  test(
    `are cheap for ${IDLE_CONTAINERS} idle containers`,
    async () => {
      const base = await cpuSeconds(daemon.pid);
      await delay(IDLE_SECONDS * 1_000);
      const without = (await cpuSeconds(daemon.pid)) - base;
      const names = Array.from({ length: IDLE_CONTAINERS }, (_, at) => `idle-${at}`);
      await forEachLimited(names, 8, async (name) => {
        await start(name, 'echo ready; exec sleep 100000');
      });
      // The start itself does not count as idle, because the positions of slow logs are saved after ten
      // seconds.
      await delay(12_000);
      const before = await cpuSeconds(daemon.pid);
      await delay(IDLE_SECONDS * 1_000);
      const used = (await cpuSeconds(daemon.pid)) - before;
      print(`\nidle for ${IDLE_SECONDS} s, CPU of the whole daemon, heartbeats and resync included`);
      print(`  no container             ${without.toFixed(2)} s`);
      print(`  ${IDLE_CONTAINERS} containers           ${used.toFixed(2)} s`);
      expect(used - without).toBeLessThan(0.3);
    },
    PATIENCE_MS,
  );
});
