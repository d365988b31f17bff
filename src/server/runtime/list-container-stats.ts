import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks, type Encoded } from '../../proto/service';
import { toCriContainerStats } from '../../stats/cri-stats';
import { containerStatsFilter } from '../../translate/shared/filters';
import type { CallContext, Services } from '../services';

export async function listContainerStats(
  services: Services,
  request: Decoded<cri.IListContainerStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IListContainerStatsResponse> {
  return { stats: (await statsOfContainers(services, request, signal)).map(toCriContainerStats) };
}

/**
 * Returns the stats of running containers only, because kubelet would treat the zeros of an exited container as a real
 * reading.
 */
export async function statsOfContainers(
  { store, stats }: Services,
  { filter }: Pick<Decoded<cri.IListContainerStatsRequest>, 'filter'>,
  signal: AbortSignal,
): ReturnType<Services['stats']['ofContainers']> {
  return stats.ofContainers([...store.containers.values()].filter(containerStatsFilter(filter)), signal);
}

/**
 * Streams the answer of ListContainerStats in messages of bounded size. All stats are read once, at the time of the call.
 */
export async function* streamContainerStats(
  services: Services,
  request: Decoded<cri.IStreamContainerStatsRequest>,
  { signal }: CallContext,
): AsyncGenerator<Encoded> {
  const readings = await statsOfContainers(services, request, signal);
  yield* encodeChunks(cri.ContainerStats, mapLazily(readings, toCriContainerStats));
}
