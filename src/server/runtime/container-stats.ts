import type { cri, Decoded } from '../../proto';
import { toCriContainerStats } from '../../stats/cri-stats';
import { getContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/**
 * Returns the stats of one container. For a container that does not run, the answer contains its attributes and the known
 * size of its layer. An unknown id is an error.
 */
export async function containerStats(
  { store, stats }: Services,
  request: Decoded<cri.IContainerStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IContainerStatsResponse> {
  const container = getContainer(store, request.container_id);
  return { stats: toCriContainerStats(await stats.ofContainer(container, signal)) };
}
