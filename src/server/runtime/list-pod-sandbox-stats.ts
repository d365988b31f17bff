import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks, type Encoded } from '../../proto/service';
import { toCriPodStats } from '../../stats/cri-stats';
import { sandboxStatsFilter } from '../../translate/shared/filters';
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

/**
 * Streams the answer of ListPodSandboxStats in messages of bounded size. All stats are read once, at the time of the
 * call.
 */
export async function* streamPodSandboxStats(
  services: Services,
  request: Decoded<cri.IStreamPodSandboxStatsRequest>,
  { signal }: CallContext,
): AsyncGenerator<Encoded> {
  const readings = await statsOfPods(services, request, signal);
  yield* encodeChunks(cri.PodSandboxStats, mapLazily(readings, toCriPodStats));
}
