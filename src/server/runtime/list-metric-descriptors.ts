import type { cri } from '../../proto';
import { METRIC_DESCRIPTORS } from '../../stats/metrics/pod-metrics';

/** Returns the descriptors of cAdvisor's container metrics, which do not change while the process runs. */
export function listMetricDescriptors(): Promise<cri.IListMetricDescriptorsResponse> {
  const descriptors = METRIC_DESCRIPTORS.map(({ name, help, labelKeys }) => ({
    name,
    help,
    label_keys: [...labelKeys],
  }));
  return Promise.resolve({ descriptors });
}
