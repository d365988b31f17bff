import { mapLazily } from '../../lib/collections';
import { cri } from '../../proto';
import { encodeChunks, type Encoded } from '../../proto/service';
import { MetricType } from '../../proto/enums';
import type { MetricSample, PodMetrics } from '../../stats/metrics/metric';
import { METRIC_DESCRIPTORS } from '../../stats/metrics/pod-metrics';
import type { CallContext, Services } from '../services';

const TYPES = new Map(
  METRIC_DESCRIPTORS.map(({ name, kind }) => [
    name,
    kind === 'counter' ? MetricType.COUNTER : MetricType.GAUGE,
  ]),
);

/** Returns the metrics of all running pods, because the request has no filter. */
export async function listPodSandboxMetrics(
  { stats }: Services,
  _: unknown,
  { signal }: CallContext,
): Promise<cri.IListPodSandboxMetricsResponse> {
  return { pod_metrics: (await stats.podMetrics(signal)).map(toCriPodMetrics) };
}

export function toCriPodMetrics({ sandboxId, samples, containers }: PodMetrics): cri.IPodSandboxMetrics {
  return {
    pod_sandbox_id: sandboxId,
    metrics: samples.map(toCriMetric),
    container_metrics: containers.map((container) => ({
      container_id: container.containerId,
      metrics: container.samples.map(toCriMetric),
    })),
  };
}

/**
 * Converts a sample to CRI. CRI's values are unsigned integers, so seconds lose their fraction, and -1 for unlimited
 * becomes 0.
 */
function toCriMetric({ name, labelValues, value }: MetricSample): cri.IMetric {
  return {
    name,
    // 0 means that the value was sampled for this call.
    timestamp: 0,
    metric_type: TYPES.get(name) ?? MetricType.GAUGE,
    label_values: [...labelValues],
    value: { value: Math.max(0, Math.floor(value)) },
  };
}

/**
 * Streams the answer of ListPodSandboxMetrics in messages of bounded size. All metrics are read once, at the time of the
 * call.
 */
export async function* streamPodSandboxMetrics(
  { stats }: Services,
  _: unknown,
  { signal }: CallContext,
): AsyncGenerator<Encoded> {
  const pods = await stats.podMetrics(signal);
  yield* encodeChunks(cri.PodSandboxMetrics, mapLazily(pods, toCriPodMetrics));
}
