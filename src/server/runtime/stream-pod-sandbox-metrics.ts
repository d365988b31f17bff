import { mapLazily } from '../../lib/collections';
import { cri } from '../../proto';
import { encodeChunks } from '../../proto/chunks';
import type { Encoded } from '../../proto/service';
import type { CallContext, Services } from '../services';
import { toCriPodMetrics } from './list-pod-sandbox-metrics';

/** ListPodSandboxMetrics in messages of bounded size: one reading of all, at the call. */
export async function* streamPodSandboxMetrics(
  { stats }: Services,
  _: unknown,
  { signal }: CallContext,
): AsyncGenerator<Encoded> {
  const pods = await stats.podMetrics(signal);
  yield* encodeChunks(cri.PodSandboxMetrics, mapLazily(pods, toCriPodMetrics));
}
