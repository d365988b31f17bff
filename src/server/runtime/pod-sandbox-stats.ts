import type { cri, Decoded } from '../../proto';
import { toCriPodStats } from '../../stats/cri-stats';
import { getSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Returns the stats of one pod. For a pod that does not run, the answer contains only its attributes. */
export async function podSandboxStats(
  { store, stats }: Services,
  request: Decoded<cri.IPodSandboxStatsRequest>,
  { signal }: CallContext,
): Promise<cri.IPodSandboxStatsResponse> {
  const sandbox = getSandbox(store, request.pod_sandbox_id);
  return { stats: toCriPodStats(await stats.ofPod(sandbox, signal)) };
}
