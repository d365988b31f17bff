import { cri } from '../../../../src/proto';
import { MetricType } from '../../../../src/proto/enums';
import {
  listContainerStats,
  streamContainerStats,
} from '../../../../src/server/runtime/list-container-stats';
import { listContainers, streamContainers } from '../../../../src/server/runtime/list-containers';
import { listMetricDescriptors } from '../../../../src/server/runtime/list-metric-descriptors';
import {
  listPodSandboxMetrics,
  streamPodSandboxMetrics,
} from '../../../../src/server/runtime/list-pod-sandbox-metrics';
import {
  listPodSandboxStats,
  streamPodSandboxStats,
} from '../../../../src/server/runtime/list-pod-sandbox-stats';
import { listPodSandbox, streamPodSandboxes } from '../../../../src/server/runtime/list-pod-sandbox';
import { containerStats } from '../../../../src/server/runtime/container-stats';
import { podSandboxStats } from '../../../../src/server/runtime/pod-sandbox-stats';
import type { Services } from '../../../../src/server/services';
import { METRIC_DESCRIPTORS } from '../../../../src/stats/metrics/pod-metrics';
import type { PodMetrics } from '../../../../src/stats/metrics/metric';
import type { ContainerRecord, SandboxRecord } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import { toCriContainer } from '../../../../src/translate/container/container-status';
import { toCriSandbox } from '../../../../src/translate/sandbox/sandbox-status';
import { rejectionOf } from '../../support/errors';
import { engineId, imageRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const { signal } = new AbortController();
const context = { signal };
const image = imageRecord({ repoTags: ['app:1'] });
const pods = [
  sandboxRecord(),
  sandboxRecord({ id: engineId('a2'), engineName: 'two', state: 'exited', pid: 0 }),
];
const [ready, ended] = pods as [SandboxRecord, SandboxRecord];
const running = runningContainer({ image: image.id, userSpecifiedImage: '', imageId: image.id });
const exited = runningContainer({ id: engineId('c2'), engineName: 'c2', state: 'exited', pid: 0 });
const containers = [running, exited];

/** The calls to `stats`, in order. */
let asked: unknown[];
let store: WritableStore;
let services: Services;
beforeEach(() => {
  asked = [];
  store = new WritableStore();
  store.images.put(image);
  for (const pod of pods) store.sandboxes.put(pod);
  for (const container of containers) store.containers.put(container);
  const note = (name: string, records: readonly { id: string }[], given?: AbortSignal): void => {
    asked.push([name, records.map(({ id }) => id), given]);
  };
  const stats: Partial<Services['stats']> = {
    ofContainer: (container, given) => {
      note('container', [container], given);
      return Promise.resolve({ container });
    },
    ofContainers: (all, given) => {
      note('containers', all, given);
      return Promise.resolve(all.map((container) => ({ container })));
    },
    ofPod: (sandbox, given) => {
      note('pod', [sandbox], given);
      return Promise.resolve({ sandbox, containers: [] });
    },
    ofPods: (all, given) => {
      note('pods', all, given);
      return Promise.resolve(all.map((sandbox) => ({ sandbox, containers: [] })));
    },
    podMetrics: (given) => {
      note('metrics', [], given);
      return Promise.resolve(METRICS);
    },
  };
  services = { store, stats } as unknown as Services;
});

const sample = (name: string, value: number) => ({ name, labelValues: ['a', 'b'], value });
const METRICS: readonly PodMetrics[] = [
  {
    sandboxId: 's1',
    samples: [sample('container_memory_rss', 3)],
    containers: [
      {
        containerId: 'c1',
        samples: [
          ...[sample('container_cpu_usage_seconds_total', 2.9), sample('container_ulimits_soft', -1)],
          sample('container_of_nobody', 4),
        ],
      },
    ],
  },
];

/** Returns the elements of all messages of a stream. */
async function elementsOf<Element>(
  messages: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  decode: (bytes: Uint8Array) => Element[],
): Promise<Element[]> {
  const all: Element[] = [];
  for await (const message of messages) all.push(...decode(message));
  return all;
}

describe('ListContainers', () => {
  const fromStore = (container: ContainerRecord) =>
    toCriContainer(container, store.images.get(container.imageId));
  const list = async (filter: cri.IContainerFilter | null = null) =>
    (await listContainers(services, decoded('ListContainersRequest', { filter }))).containers;

  it('returns all containers, with the names of their images', async () => {
    expect(await list()).toEqual(containers.map(fromStore));
    expect((await list())?.[0]?.image?.image).toBe('app:1');
  });

  it('returns the matching containers', async () => {
    expect(await list({ id: exited.id })).toEqual([fromStore(exited)]);
    expect(await list({ label_selector: { not: 'there' } })).toEqual([]);
  });

  it("returns each container once, including those that only the Engine's list has reported", async () => {
    const listed = [running, runningContainer({ id: engineId('c3'), engineName: 'c3' })];
    store.listed.replace(
      listed.map((record) => ({ ...{ id: record.id, kind: 'container', record }, sandboxId: ready.id })),
    );
    expect((await list())?.map(({ id }) => id)).toEqual([running.id, exited.id, engineId('c3')]);
  });

  it('has a streaming form, StreamContainers, which returns and filters the same', async () => {
    const messages = streamContainers(services, decoded('StreamContainersRequest', {}));
    const streamed = await elementsOf(
      messages,
      (bytes) => cri.StreamContainersResponse.decode(bytes).containers,
    );
    expect(streamed.map(({ id }) => id)).toEqual([running.id, exited.id]);
    const some = streamContainers(
      services,
      decoded('StreamContainersRequest', { filter: { id: exited.id } }),
    );
    const few = await elementsOf(some, (bytes) => cri.StreamContainersResponse.decode(bytes).containers);
    expect(few.map(({ id }) => id)).toEqual([exited.id]);
  });
});

describe('ListPodSandbox', () => {
  const list = async (filter: cri.IPodSandboxFilter | null = null) =>
    (await listPodSandbox(services, decoded('ListPodSandboxRequest', { filter }))).items;

  it('returns all sandboxes, or those that match', async () => {
    expect(await list()).toEqual(pods.map(toCriSandbox));
    expect(await list({ id: ended.id })).toEqual([toCriSandbox(ended)]);
  });

  it('has a streaming form, StreamPodSandboxes, which filters the same', async () => {
    const messages = streamPodSandboxes(
      services,
      decoded('StreamPodSandboxesRequest', { filter: { id: ended.id } }),
    );
    const streamed = await elementsOf(
      messages,
      (bytes) => cri.StreamPodSandboxesResponse.decode(bytes).pod_sandboxes,
    );
    expect(streamed.map(({ id }) => id)).toEqual([ended.id]);
  });
});

describe('stats', () => {
  it('of containers are read for those that run and match', async () => {
    const list = async (filter: cri.IContainerStatsFilter | null) =>
      (
        await listContainerStats(services, decoded('ListContainerStatsRequest', { filter }), context)
      ).stats?.map(({ attributes }) => attributes?.id);
    expect(await list(null)).toEqual([running.id]);
    expect(await list({ id: exited.id })).toEqual([]);
    expect(asked).toEqual([
      ['containers', [running.id], signal],
      ['containers', [], signal],
    ]);
  });

  it('of pods are read for those that are ready and match', async () => {
    const list = async (filter: cri.IPodSandboxStatsFilter | null) =>
      (
        await listPodSandboxStats(services, decoded('ListPodSandboxStatsRequest', { filter }), context)
      ).stats?.map(({ attributes }) => attributes?.id);
    expect(await list(null)).toEqual([ready.id]);
    expect(await list({ id: ended.id })).toEqual([]);
    expect(asked).toEqual([
      ['pods', [ready.id], signal],
      ['pods', [], signal],
    ]);
  });

  it('of one container or pod are read whether it runs or not', async () => {
    const one = await containerStats(
      services,
      decoded('ContainerStatsRequest', { container_id: exited.id }),
      context,
    );
    expect(one.stats?.attributes?.id).toBe(exited.id);
    const pod = await podSandboxStats(
      services,
      decoded('PodSandboxStatsRequest', { pod_sandbox_id: ended.id }),
      context,
    );
    expect(pod.stats?.attributes?.id).toBe(ended.id);
    expect(asked).toEqual([
      ['container', [exited.id], signal],
      ['pod', [ended.id], signal],
    ]);
    const unknown = containerStats(
      services,
      decoded('ContainerStatsRequest', { container_id: 'ff' }),
      context,
    );
    expect(await rejectionOf(unknown)).toBe('NOT_FOUND container "ff" does not exist');
    const noPod = podSandboxStats(
      services,
      decoded('PodSandboxStatsRequest', { pod_sandbox_id: 'ff' }),
      context,
    );
    expect(await rejectionOf(noPod)).toBe('NOT_FOUND pod sandbox "ff" does not exist');
  });

  it('are also returned as streams', async () => {
    const ofContainers = streamContainerStats(services, decoded('StreamContainerStatsRequest', {}), context);
    const one = await elementsOf(
      ofContainers,
      (bytes) => cri.StreamContainerStatsResponse.decode(bytes).container_stats,
    );
    expect(one.map(({ attributes }) => attributes?.id)).toEqual([running.id]);
    const ofPods = streamPodSandboxStats(services, decoded('StreamPodSandboxStatsRequest', {}), context);
    const two = await elementsOf(
      ofPods,
      (bytes) => cri.StreamPodSandboxStatsResponse.decode(bytes).pod_sandbox_stats,
    );
    expect(two.map(({ attributes }) => attributes?.id)).toEqual([ready.id]);
    expect(asked).toEqual([
      ['containers', [running.id], signal],
      ['pods', [ready.id], signal],
    ]);
  });
});

describe('metrics', () => {
  const metric = (name: string, metric_type: MetricType, value: number) => ({
    ...{ name, metric_type, timestamp: 0, label_values: ['a', 'b'], value: { value } },
  });

  it('are non-negative integers, with the kind of their family', async () => {
    expect(await listPodSandboxMetrics(services, {}, context)).toEqual({
      pod_metrics: [
        {
          pod_sandbox_id: 's1',
          metrics: [metric('container_memory_rss', MetricType.GAUGE, 3)],
          container_metrics: [
            {
              container_id: 'c1',
              metrics: [
                metric('container_cpu_usage_seconds_total', MetricType.COUNTER, 2),
                metric('container_ulimits_soft', MetricType.GAUGE, 0),
                metric('container_of_nobody', MetricType.GAUGE, 4),
              ],
            },
          ],
        },
      ],
    });
    expect(asked).toEqual([['metrics', [], signal]]);
  });

  it('are also returned as a stream', async () => {
    const messages = streamPodSandboxMetrics(services, {}, context);
    const all = await elementsOf(
      messages,
      (bytes) => cri.StreamPodSandboxMetricsResponse.decode(bytes).pod_sandbox_metrics,
    );
    expect(all.map(({ pod_sandbox_id, metrics }) => [pod_sandbox_id, metrics?.length])).toEqual([['s1', 1]]);
    expect(asked).toEqual([['metrics', [], signal]]);
  });

  it('have one descriptor each', async () => {
    const { descriptors } = await listMetricDescriptors();
    expect(descriptors).toEqual(
      METRIC_DESCRIPTORS.map(({ name, help, labelKeys }) => ({ name, help, label_keys: labelKeys })),
    );
  });
});
