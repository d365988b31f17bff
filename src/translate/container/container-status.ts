import Long from 'long';
import type { cri } from '../../proto';
import { ContainerState } from '../../proto/enums';
import type { ContainerRecord, EngineState, ImageRecord, UserRecord } from '../../store/records';
import { startFailed } from '../../store/states';
import { toCriMount } from './mounts';
import { toCriResources } from './resources';
import { toCriSignal } from './signals';
import { asImageId, tryParseReference } from '../image/reference';
import { explainStartError } from './engine-refusals';

/**
 * The Engine's states of a container, and CRI's state for each:
 *
 *   created ──start──▶ running ⇄ paused          running, paused, restarting  → RUNNING
 *      │                  │                      created                      → CREATED
 *      └─start fails─▶ created, error set        exited, dead                 → EXITED
 *                         ▼                      created with a start error   → EXITED, StartError
 *                      exited / dead             removing                     → not listed
 */
const STATES: Readonly<Record<EngineState, ContainerState>> = {
  created: ContainerState.CONTAINER_CREATED,
  running: ContainerState.CONTAINER_RUNNING,
  paused: ContainerState.CONTAINER_RUNNING,
  restarting: ContainerState.CONTAINER_RUNNING,
  removing: ContainerState.CONTAINER_UNKNOWN,
  exited: ContainerState.CONTAINER_EXITED,
  dead: ContainerState.CONTAINER_EXITED,
  unknown: ContainerState.CONTAINER_UNKNOWN,
};

const START_FAILED = 128;

export function containerState(container: ContainerRecord): ContainerState {
  return startFailed(container) ? ContainerState.CONTAINER_EXITED : STATES[container.state];
}

/** Converts a record to an element of ListContainers. */
export function toCriContainer(container: ContainerRecord, image: ImageRecord | undefined): cri.IContainer {
  return {
    id: container.id,
    pod_sandbox_id: container.sandboxId,
    metadata: container.metadata,
    image: statusImage(container, image),
    image_ref: imageRef(container, image),
    image_id: container.imageId,
    state: containerState(container),
    created_at: container.createdAt,
    labels: container.labels,
    annotations: container.annotations,
  };
}

/** Converts a record to a ContainerStatus. */
export function toCriContainerStatus(
  container: ContainerRecord,
  image: ImageRecord | undefined,
): cri.IContainerStatus {
  const { pod_sandbox_id, ...shared } = toCriContainer(container, image);
  return {
    ...shared,
    ...outcome(container),
    mounts: container.mounts.map(toCriMount),
    log_path: container.logPath,
    resources: toCriResources(container.resources),
    user: container.user === undefined ? null : toCriUser(container.user),
    // The effective signal. Docker's default is SIGTERM.
    stop_signal: toCriSignal(container.stopSignal === '' ? 'SIGTERM' : container.stopSignal),
  };
}

function toCriUser({ uid, gid, groups }: UserRecord): cri.IContainerUser {
  return { linux: { uid, gid, supplemental_groups: [...groups] } };
}

/** Returns the name that the pod has used for its image, whatever tags the image has now. */
export function imageName(container: ContainerRecord, image: ImageRecord | undefined): string {
  return askedImageName(container) ?? image?.repoTags[0] ?? container.image;
}

function statusImage(container: ContainerRecord, image: ImageRecord | undefined): cri.IImageSpec {
  return {
    image: imageName(container, image),
    user_specified_image: container.userSpecifiedImage,
    annotations: container.imageAnnotations,
  };
}

export type AskedImage = Pick<ContainerRecord, 'userSpecifiedImage' | 'image' | 'imageId'>;

/**
 * Returns the name that a pod has used for its image. Undefined if only the id is known, as with kubelets before 1.29 and
 * with cri-dockerd.
 */
export function askedImageName({ userSpecifiedImage, image, imageId }: AskedImage): string | undefined {
  if (userSpecifiedImage !== '') return userSpecifiedImage;
  const isId =
    asImageId(image) !== undefined || imageId.replace('sha256:', '').startsWith(image.replace('sha256:', ''));
  return isId ? undefined : image;
}

/**
 * Returns the image's digest reference, preferably in the repository that the pod named. Without a digest, returns the
 * id. Never empty.
 */
function imageRef(container: ContainerRecord, image: ImageRecord | undefined): string {
  const [first, ...others] = image?.repoDigests ?? [];
  if (first === undefined || others.length === 0) return first ?? container.imageId;
  const repository = tryParseReference(askedImageName(container) ?? '')?.repository;
  return [first, ...others].find((digest) => digest.startsWith(`${repository ?? ''}@`)) ?? first;
}

type Outcome = Pick<cri.IContainerStatus, 'started_at' | 'finished_at' | 'exit_code' | 'reason' | 'message'>;

/** Returns times, exit code and one of the reasons that kubelet knows: Completed, Error, OOMKilled, StartError. */
function outcome(container: ContainerRecord): Outcome {
  if (startFailed(container)) {
    // The container never ran. All times equal the time of its creation (as in dockershim), so that kubelet can sort the
    // container by time.
    const times = { started_at: container.createdAt, finished_at: container.createdAt };
    const { exitCode, error, madeByOthers } = container;
    if (madeByOthers && exitCode !== 0) {
      // cri-dockerd reports the same, and a switch to dockbridge must not change a status. A pod's restart rules may use the
      // exit code.
      return { ...times, exit_code: exitCode, reason: 'ContainerCannotRun', message: error };
    }
    // containerd reports the same. The Engine's own exit code, 126 to 128, is only a guess from the error's text.
    return {
      ...times,
      exit_code: START_FAILED,
      reason: 'StartError',
      message: explainStartError(error, container.mounts),
    };
  }
  if (containerState(container) !== ContainerState.CONTAINER_EXITED) {
    return { started_at: container.startedAt, finished_at: Long.ZERO, exit_code: 0, reason: '', message: '' };
  }
  return {
    started_at: container.startedAt,
    finished_at: container.finishedAt,
    exit_code: container.exitCode,
    reason: exitReason(container),
    message: container.error,
  };
}

function exitReason(container: ContainerRecord): string {
  if (container.oomKilled) return 'OOMKilled';
  return container.exitCode === 0 ? 'Completed' : 'Error';
}
