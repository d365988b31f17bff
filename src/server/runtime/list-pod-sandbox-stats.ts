import type { cri, Decoded } from '../../proto';
import { sandboxStatsFilter } from '../../translate/shared/filters';
import { toCriPodStats } from '../../stats/cri-stats';
import type { CallContext, Services } from '../services';

export async function listPodSandboxStats(
  services: Services,
  request: Decoded<cri.IListPodSandboxStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IListPodSandboxStatsResponse> {
  return { stats: (await statsOfPods(services, request, signal)).map(toCriPodStats) };
}

export async function statsOfPods(
  { store, stats }: Services,
  { filter }: Pick<Decoded<cri.IListPodSandboxStatsRequest>, 'filter'>,
  signal: AbortSignal,
): ReturnType<Services['stats']['ofPods']> {
  return stats.ofPods([...store.sandboxes.values()].filter(sandboxStatsFilter(filter)), signal);
}
