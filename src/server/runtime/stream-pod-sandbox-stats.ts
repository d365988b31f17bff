import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks } from '../../proto/chunks';
import type { Encoded } from '../../proto/service';
import { toCriPodStats } from '../../stats/cri-stats';
import type { CallContext, Services } from '../services';
import { statsOfPods } from './list-pod-sandbox-stats';

/** ListPodSandboxStats in messages of bounded size: one reading of all, at the call. */
export async function* streamPodSandboxStats(
  services: Services,
  request: Decoded<cri.IStreamPodSandboxStatsRequest>,
  { signal }: CallContext,
): AsyncGenerator<Encoded> {
  const readings = await statsOfPods(services, request, signal);
  yield* encodeChunks(cri.PodSandboxStats, mapLazily(readings, toCriPodStats));
}
