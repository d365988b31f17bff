import { isListed } from '../../store/states';
import type Long from 'long';
import type { cri } from '../../proto';
import type { ContainerEventType } from '../../proto/enums';
import type { ContainerRecord, ImageRecord, SandboxRecord } from '../../store/records';
import { toCriContainerStatus } from '../container/container-status';
import { toCriSandboxStatus } from '../sandbox/sandbox-status';

/** One CRI event and the pod as it was then: kubelet's evented PLEG takes the pod's status from it. */
export interface PodEvent {
  /** A container's, or the sandbox's own. */
  readonly containerId: string;
  readonly type: ContainerEventType;
  /** Nanoseconds since the epoch, rising from event to event. */
  readonly at: Long;
  /** Undefined when the sandbox vanished before its container. */
  readonly sandbox: SandboxRecord | undefined;
  readonly containers: readonly ContainerRecord[];
}

export function toCriEvent(
  event: PodEvent,
  imageOf: (id: string) => ImageRecord | undefined,
): cri.IContainerEventResponse {
  return {
    container_id: event.containerId,
    container_event_type: event.type,
    created_at: event.at,
    pod_sandbox_status: event.sandbox === undefined ? null : toCriSandboxStatus(event.sandbox),
    containers_statuses: containerStatuses(event.containers, imageOf),
  };
}

/** Returns the statuses of all containers of a pod that CRI lists. */
export function containerStatuses(
  containers: readonly ContainerRecord[],
  imageOf: (id: string) => ImageRecord | undefined,
): cri.IContainerStatus[] {
  return containers
    .filter(isListed)
    .map((container) => toCriContainerStatus(container, imageOf(container.imageId)));
}

/** A sandbox that was removed, for its last event: kubelet forgets the pod's status by the id that it finds there. */
export function removedSandbox(last: SandboxRecord): SandboxRecord {
  return { ...last, state: 'exited', pid: 0, networkReady: false, ips: [] };
}
