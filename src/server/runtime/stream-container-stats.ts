import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks } from '../../proto/chunks';
import type { Encoded } from '../../proto/service';
import { toCriContainerStats } from '../../stats/cri-stats';
import type { CallContext, Services } from '../services';
import { statsOfContainers } from './list-container-stats';

/** ListContainerStats in messages of bounded size: one reading of all, at the call. */
export async function* streamContainerStats(
  services: Services,
  request: Decoded<cri.IStreamContainerStatsRequest>,
  { signal }: CallContext,
): AsyncGenerator<Encoded> {
  const readings = await statsOfContainers(services, request, signal);
  yield* encodeChunks(cri.ContainerStats, mapLazily(readings, toCriContainerStats));
}
