import type { cri } from '../../proto';
import { METRIC_DESCRIPTORS } from '../../stats/metrics/pod-metrics';

/** cAdvisor's container metrics: the same for the life of the process. */
export function listMetricDescriptors(): Promise<cri.IListMetricDescriptorsResponse> {
  const descriptors = METRIC_DESCRIPTORS.map(({ name, help, labelKeys }) => ({
    name,
    help,
    label_keys: [...labelKeys],
  }));
  return Promise.resolve({ descriptors });
}
