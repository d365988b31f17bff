import type { cri, Decoded } from '../../proto';
import { containerStatsFilter } from '../../translate/filters';
import { toCriContainerStats } from '../../translate/stats';
import type { CallContext, Services } from '../services';

/** Running containers only: kubelet takes an exited one's zeros for a reading. */
export async function listContainerStats(
  { store, stats }: Services,
  request: Decoded<cri.IListContainerStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IListContainerStatsResponse> {
  const wanted = [...store.containers.values()].filter(containerStatsFilter(request.filter));
  return { stats: (await stats.ofContainers(wanted, signal)).map(toCriContainerStats) };
}
