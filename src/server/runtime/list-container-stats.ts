import type { cri, Decoded } from '../../proto';
import { containerStatsFilter } from '../../translate/shared/filters';
import { toCriContainerStats } from '../../stats/cri-stats';
import type { CallContext, Services } from '../services';

export async function listContainerStats(
  services: Services,
  request: Decoded<cri.IListContainerStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IListContainerStatsResponse> {
  return { stats: (await statsOfContainers(services, request, signal)).map(toCriContainerStats) };
}

/** Running containers only: kubelet takes an exited one's zeros for a reading. */
export async function statsOfContainers(
  { store, stats }: Services,
  { filter }: Pick<Decoded<cri.IListContainerStatsRequest>, 'filter'>,
  signal: AbortSignal,
): ReturnType<Services['stats']['ofContainers']> {
  return stats.ofContainers([...store.containers.values()].filter(containerStatsFilter(filter)), signal);
}
