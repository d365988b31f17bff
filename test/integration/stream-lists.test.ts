import { status, type ServiceError } from '@grpc/grpc-js';
import type { cri } from '../../src/proto';
import type { WritableStore } from '../../src/store/store';
import { containerRecord, imageRecord, sandboxRecord } from '../unit/support/records';
import { TestDaemon } from './support/daemon';
import {
  containerConfig,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
} from './support/pods';
import { expectFailure } from './support/grpc';

/** So many records have 20 MiB together, more than the 16 MiB that one message may have. */
const MANY = 5_000;
const FILLER = { filler: 'x'.repeat(4_096) };

async function all<Message>(messages: AsyncIterable<Message>): Promise<Message[]> {
  const taken: Message[] = [];
  for await (const message of messages) taken.push(message);
  return taken;
}

/** Returns whether CPU and memory were read and are not 0. */
function isMeasured(stats: cri.IContainerStats | cri.ILinuxPodSandboxStats | null | undefined): boolean {
  const values = [stats?.cpu?.usage_core_nano_seconds?.value, stats?.memory?.usage_bytes?.value];
  return values.every((value) => Number(value ?? 0) > 0);
}

describe('lists as streams', () => {
  let test: TestDaemon;
  beforeEach(async () => {
    test = await TestDaemon.start();
    await test.synced();
  });
  afterEach(() => test.stop());

  it('return the same as the lists, with the same filters', async () => {
    const pods = await Promise.all(
      ['one', 'two'].map(async (name) => {
        const labels = { name };
        const pod = await runPod(test, podConfig(test, { labels }));
        await createContainer(test, pod, containerConfig(name, 'exit 0', { labels }));
        return pod;
      }),
    );
    const { client } = test;
    for (const filter of [null, { label_selector: { name: 'two' } }, { id: 'none' }]) {
      const [sandboxes, containers, images] = [
        await all(client.stream('StreamPodSandboxes', { filter }).messages),
        await all(client.stream('StreamContainers', { filter }).messages),
        await all(client.stream('StreamImages', {}).messages),
      ];
      expect(sandboxes.flatMap(({ pod_sandboxes }) => pod_sandboxes)).toEqual(
        (await client.call('ListPodSandbox', { filter })).items,
      );
      expect(containers.flatMap((message) => message.containers)).toEqual(
        (await client.call('ListContainers', { filter })).containers,
      );
      expect(images.flatMap((message) => message.images)).toEqual(
        (await client.call('ListImages', {})).images,
      );
    }
    const [chosen] = await all(client.stream('StreamPodSandboxes', { filter: { id: pods[1]! } }).messages);
    expect(chosen?.pod_sandboxes.map(({ id }) => id)).toEqual([pods[1]]);
  });

  it('of stats and metrics have the same pods, containers and names as the lists', async () => {
    const { client } = test;
    const labels = { name: 'counted' };
    const pod = await runPod(test, podConfig(test, { labels }));
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER, { labels }));
    await startedContainer(test, pod, containerConfig('other', FOREVER));
    const filter = { label_selector: labels };
    const containers = await all(client.stream('StreamContainerStats', { filter }).messages);
    const pods = await all(client.stream('StreamPodSandboxStats', { filter }).messages);
    const containerStats = containers.flatMap(({ container_stats }) => container_stats);
    const podStats = pods.flatMap(({ pod_sandbox_stats }) => pod_sandbox_stats);
    const [listed] = (await client.call('ListContainerStats', { filter })).stats;
    const [listedPod] = (await client.call('ListPodSandboxStats', { filter })).stats;
    expect(containerStats.map(({ attributes }) => attributes)).toEqual([listed?.attributes]);
    expect(containerStats).toMatchObject([{ attributes: { id } }]);
    expect(isMeasured(containerStats[0])).toBe(true);
    expect(podStats.map(({ attributes }) => attributes)).toEqual([listedPod?.attributes]);
    const metrics = await all(client.stream('StreamPodSandboxMetrics', {}).messages);
    const podMetrics = metrics.flatMap(({ pod_sandbox_metrics }) => pod_sandbox_metrics);
    const namesIn = (one: (typeof podMetrics)[number] | undefined): unknown => [
      one?.pod_sandbox_id,
      one?.metrics.map(({ name }) => name),
      one?.container_metrics.map((of) => [of.container_id, of.metrics.map(({ name }) => name)]),
    ];
    const { pod_metrics } = await client.call('ListPodSandboxMetrics', {});
    expect(podMetrics.map(namesIn)).toEqual(pod_metrics.map(namesIn));
    expect(podMetrics.map(({ pod_sandbox_id }) => pod_sandbox_id)).toContain(pod);
    expect(podStats).toMatchObject([{ attributes: { id: pod } }]);
    expect(isMeasured(podStats[0]?.linux)).toBe(true);
  });

  it('make no Engine call', async () => {
    expect(
      await test.countEngineCalls(async () => {
        for (const method of [
          'StreamPodSandboxes',
          'StreamContainers',
          'StreamImages',
          'StreamContainerStats',
        ] as const)
          await all(test.client.stream(method, {}).messages);
      }),
    ).toEqual({});
  });

  it('refuse what the lists refuse', async () => {
    const filter = { state: { state: 9 as never } };
    await expectFailure(
      all(test.client.stream('StreamContainers', { filter }).messages),
      'INVALID_ARGUMENT',
      /filter.state.state/,
    );
  });

  it('carry more than one message can hold, in messages of limited size', async () => {
    // The records need no real containers.
    const { sandboxes, containers, images } = test.daemon.store as WritableStore;
    const ids = Array.from({ length: MANY }, (_, at) => `many-${at}`);
    for (const id of ids) {
      sandboxes.put(sandboxRecord({ id, engineName: `pod-${id}`, annotations: FILLER }));
      containers.put(containerRecord({ id, engineName: id, sandboxId: id, annotations: FILLER }));
      images.put(imageRecord({ id, repoTags: [`${id}:${FILLER.filler}`], repoDigests: [] }));
    }
    const tooMuch = await test.client.call('ListContainers', {}).then(
      () => undefined,
      (error: unknown) => error as ServiceError,
    );
    expect(tooMuch?.code).toBe(status.RESOURCE_EXHAUSTED);
    const lists = [
      (await all(test.client.stream('StreamPodSandboxes', {}).messages)).map((one) => one.pod_sandboxes),
      (await all(test.client.stream('StreamContainers', {}).messages)).map((one) => one.containers),
      (await all(test.client.stream('StreamImages', {}).messages)).map((one) => one.images),
    ];
    for (const list of lists) {
      expect(
        list
          .flat()
          .map(({ id }) => id)
          .filter((id) => id.startsWith('many-')),
      ).toEqual(ids);
      // A message has at most about 256 KiB.
      expect(Math.max(...list.map(({ length }) => length))).toBeLessThan(70);
    }
    for (const id of ids) {
      containers.delete(id);
      sandboxes.delete(id);
      images.delete(id);
    }
  });
});
