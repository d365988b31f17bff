import type { cri, Decoded } from '../../proto';
import { sandboxStatsFilter } from '../../translate/filters';
import { toCriPodStats } from '../../translate/stats';
import type { CallContext, Services } from '../services';

export async function listPodSandboxStats(
  { store, stats }: Services,
  request: Decoded<cri.IListPodSandboxStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IListPodSandboxStatsResponse> {
  const wanted = [...store.sandboxes.values()].filter(sandboxStatsFilter(request.filter));
  return { stats: (await stats.ofPods(wanted, signal)).map(toCriPodStats) };
}
