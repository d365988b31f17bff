import { status, type ServiceError } from '@grpc/grpc-js';
import { forEachLimited } from '../../lib/async/concurrency';
import { messageOf } from '../../lib/errors';
import { ContainerState } from '../../proto/enums';
import type { CriClient } from '../../server/client/cri-client';

type Client = Pick<CriClient, 'call'>;

/** A pod of a runtime. */
export interface RuntimePod {
  readonly id: string;
  /** `namespace/name`. */
  readonly name: string;
}

const LIST_MS = 30_000;
/** What CRI calls the grace period, in seconds: the time that kubelet gives a pod by default. */
const GRACE_S = 30;
const REMOVE_MS = 150_000;
const AT_ONCE = 4;

/** Lists all pods of a runtime, the pods of etcd last. @throws the runtime's error. */
export async function podsOf(cri: Client): Promise<RuntimePod[]> {
  const { items } = await cri.call('ListPodSandbox', {}, LIST_MS);
  const pods = items.map(({ id, metadata }) => ({
    id,
    name: `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`,
  }));
  return pods.sort((a, b) => Number(isEtcd(a)) - Number(isEtcd(b)) || (a.name < b.name ? -1 : 1));
}

/**
 * Removes all pods of a runtime through CRI: its containers get 30 s to end, and CNI gives back addresses and host ports. The pods of etcd
 * come last, when nobody writes any more.
 * @param onRemoved called with each pod that is gone.
 * @returns what could not be removed, one message each.
 * @throws the runtime's error when it does not list its pods.
 */
export async function removePods(cri: Client, onRemoved: (pod: RuntimePod) => void): Promise<string[]> {
  const pods = await podsOf(cri);
  const failures: string[] = [];
  for (const group of [pods.filter((pod) => !isEtcd(pod)), pods.filter(isEtcd)]) {
    await forEachLimited(group, AT_ONCE, async (pod) => {
      try {
        await removePod(cri, pod.id);
        onRemoved(pod);
      } catch (error) {
        failures.push(`${pod.name} (${pod.id}): ${messageOf(error)}`);
      }
    });
  }
  return failures;
}

async function removePod(cri: Client, pod_sandbox_id: string): Promise<void> {
  const filter = { pod_sandbox_id, state: { state: ContainerState.CONTAINER_RUNNING } };
  const { containers } = await cri.call('ListContainers', { filter }, LIST_MS);
  await forEachLimited(containers, AT_ONCE, ({ id: container_id }) =>
    unlessGone(cri.call('StopContainer', { container_id, timeout: GRACE_S }, REMOVE_MS)),
  );
  await unlessGone(cri.call('StopPodSandbox', { pod_sandbox_id }, REMOVE_MS));
  await unlessGone(cri.call('RemovePodSandbox', { pod_sandbox_id }, REMOVE_MS));
}

async function unlessGone(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if ((error as Partial<ServiceError>).code !== status.NOT_FOUND) throw error;
  });
}

function isEtcd({ name }: RuntimePod): boolean {
  return name.startsWith('kube-system/etcd-');
}
