import { setTimeout as delay } from 'node:timers/promises';
import type { cri, Decoded } from '../../src/proto';
import type { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { containerConfig, FOREVER, output, startedContainer, startPodTest } from './support/pods';

type Layer = Decoded<cri.IFilesystemUsage>;

describe('writable layers', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest({ layerTimes: { shortest: 100, longest: 100 } }));
  });
  afterAll(() => test.stop());

  /** Returns the first reading that `accept` accepts. Rejects after 20 s. */
  async function layerOf(container_id: string, accept: (layer: Layer) => boolean): Promise<Layer> {
    const end = Date.now() + 20_000;
    while (Date.now() < end) {
      const { stats } = await test.client.call('ContainerStats', { container_id });
      if (stats?.writable_layer && accept(stats.writable_layer)) return stats.writable_layer;
      await delay(50);
    }
    throw new Error('the writable layer did not reach the expected size or time within 20 s');
  }
  const bytes = (layer: Layer): number => Number(layer.used_bytes?.value);

  it('grow by 5 MB and one inode when a file of 5 MB is written', async () => {
    const id = await startedContainer(test, pod, containerConfig('writer', FOREVER));
    const before = await layerOf(id, () => true);
    await output(test, id, 'head -c 5000000 /dev/zero > /written; sync');
    const after = await layerOf(id, (layer) => bytes(layer) - bytes(before) >= 5_000_000);
    expect(bytes(after) - bytes(before)).toBeLessThan(5_100_000);
    expect(Number(after.inodes_used?.value)).toBe(Number(before.inodes_used?.value) + 1);
    expect(after.timestamp.greaterThan(before.timestamp)).toBe(true);
    const { SizeRw } = (await engineGet(sharedDockerHost(), `/containers/${id}/json?size=1`)) as {
      SizeRw: number;
    };
    expect(SizeRw).toBeGreaterThanOrEqual(5_000_000);
    expect(bytes(after) - SizeRw).toBeLessThan(100_000);
    // kubelet identifies a file system by this name, so it must be the one in ImageFsInfo.
    const { image_filesystems } = await test.client.call('ImageFsInfo', {});
    expect(after.fs_id?.mountpoint).toBe(image_filesystems[0]?.fs_id?.mountpoint);
    await output(test, id, 'rm /written');
    await layerOf(id, (layer) => bytes(layer) < bytes(after) - 4_900_000);
  });

  it('are measured without an Engine call', async () => {
    const id = await startedContainer(test, pod, containerConfig('quiet', FOREVER));
    const first = await layerOf(id, () => true);
    const calls = await test.countEngineCalls(() =>
      layerOf(id, ({ timestamp }) => timestamp.greaterThan(first.timestamp)),
    );
    expect(calls).toEqual({});
  });

  it('keep their last reading after the container has ended', async () => {
    const id = await startedContainer(test, pod, containerConfig('ended', FOREVER));
    await output(test, id, 'head -c 100000 /dev/zero > /written; sync');
    await layerOf(id, (layer) => bytes(layer) >= 100_000);
    await test.client.call('StopContainer', { container_id: id, timeout: 0 });
    expect(bytes(await layerOf(id, () => true))).toBeGreaterThanOrEqual(100_000);
  });
});
