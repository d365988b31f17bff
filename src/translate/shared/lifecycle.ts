import type Long from 'long';
import type { cri } from '../../proto';
import { ContainerEventType } from '../../proto/enums';
import type { ContainerRecord, ImageRecord, SandboxRecord } from '../../store/records';
import { isListed, Stage, stageOf } from '../../store/states';
import { toCriContainerStatus } from '../container/container-status';
import { toCriSandboxStatus } from '../sandbox/sandbox-status';

type AnyRecord = SandboxRecord | ContainerRecord;

const {
  CONTAINER_CREATED_EVENT: CREATED,
  CONTAINER_STARTED_EVENT: STARTED,
  CONTAINER_STOPPED_EVENT: STOPPED,
  CONTAINER_DELETED_EVENT: DELETED,
} = ContainerEventType;

/**
 * Returns the CRI events of one change of a record. No event is omitted, even if the store learns of several steps at
 * once, for instance of a container that started and ended while the Engine could not be reached. The order is: created,
 * started, stopped, deleted.
 */
export function lifecycleEvents(
  now: AnyRecord | undefined,
  before: AnyRecord | undefined,
): ContainerEventType[] {
  const [from, to] = [stageOf(before), stageOf(now)];
  if (now === undefined || before === undefined) {
    if (now !== undefined) return [CREATED, ...stepsUp(Stage.created, to, now)];
    return from === Stage.started ? [STOPPED, DELETED] : [DELETED];
  }
  if (!isAnotherRun(now, before, from, to)) return stepsUp(from, to, now);
  return [...(from === Stage.started ? [STOPPED] : []), ...stepsUp(Stage.created, to, now)];
}

function stepsUp(from: Stage, to: Stage, now: AnyRecord): ContainerEventType[] {
  return [
    ...(from < Stage.started && to >= Stage.started && hasRun(now) ? [STARTED] : []),
    ...(from < Stage.stopped && to === Stage.stopped ? [STOPPED] : []),
  ];
}

/** Whether the container has run. A start that failed goes straight from created to stopped. */
function hasRun(now: AnyRecord): boolean {
  return now.kind === 'sandbox' || !now.startedAt.isZero();
}

/** Whether the container or sandbox was started again, which its start time or, for a sandbox, its pid shows. */
function isAnotherRun(now: AnyRecord, before: AnyRecord, from: Stage, to: Stage): boolean {
  if (from < Stage.started || to < Stage.started) return false;
  if (from === Stage.stopped && to === Stage.started) return true;
  // The container could not be inspected before, so its start time was only a guess from the list.
  if (from === Stage.started && before.pid === 0) return false;
  if (now.kind === 'container' && before.kind === 'container') return !now.startedAt.equals(before.startedAt);
  return now.pid !== before.pid && now.pid !== 0 && before.pid !== 0;
}

/** One CRI event with the state of the pod at that time. kubelet's evented PLEG reads the pod's status from the event. */
export interface PodEvent {
  /** The id of the container or sandbox. */
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

/** Returns a removed sandbox for its last event. kubelet deletes the pod's status by the id in this event. */
export function removedSandbox(last: SandboxRecord): SandboxRecord {
  return { ...last, state: 'exited', pid: 0, networkReady: false, ips: [] };
}
