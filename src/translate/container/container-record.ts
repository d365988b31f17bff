import Long from 'long';
import type {
  EngineContainerCreate,
  EngineContainerInspect,
  EngineContainerSummary,
  EngineHostConfig,
} from '../../engine/types';
import { internal } from '../../lib/errors';
import { hasShapeOf } from '../../lib/json';
import type { ListedRecord } from '../../store/listed-table';
import type {
  ContainerRecord,
  ImageRecord,
  KernelValues,
  MountImageRecord,
  MountRecord,
  StringMap,
  UserRecord,
} from '../../store/records';
import { hasEnded } from '../../store/states';
import { toEngineState } from '../shared/engine-facts';
import {
  CONTAINER_TYPE,
  decodeLabels,
  LOG_PATH_LABEL,
  readContents,
  readExtra,
  SANDBOX_ID_LABEL,
  TYPE_LABEL,
} from '../shared/labels';
import { parseEngineName, withoutSlash } from '../shared/names';
import { nanosFromEngineTime } from '../shared/time';
import type { ContainerExtra } from './container-create';
import { isKey, isPageSize } from './kernel-values';
import { fromEngineMounts } from './mounts';
import { fromEngineResources } from './resources';

const EXTRA_EXAMPLE: ContainerExtra = {
  v: 1,
  sandboxId: '',
  metadata: { name: '', attempt: 0 },
  image: { image: '', userSpecified: '', annotations: {} },
  mounts: [
    {
      containerPath: '',
      hostPath: '',
      readonly: false,
      selinuxRelabel: false,
      propagation: 0,
      recursiveReadOnly: false,
    },
  ],
  labelKeys: [''],
  annotationKeys: [''],
  shadowed: {},
};

/**
 * Makes the record from the Engine's inspect, for containers of dockbridge and of cri-dockerd.
 * @returns undefined for a container without metadata in its label or name, and for a container outside any pod.
 */
export function containerFromInspect(container: EngineContainerInspect): ContainerRecord | undefined {
  const engineLabels = container.Config.Labels ?? {};
  const written = readExtra(engineLabels, EXTRA_EXAMPLE);
  // The label may come from an image, whose containers inherit it even when cri-dockerd creates them.
  const extra = written?.sandboxId === engineLabels[SANDBOX_ID_LABEL] ? written : undefined;
  const engineName = withoutSlash(container.Name);
  const parsed = parseEngineName(engineName);
  const metadata = extra?.metadata ?? (parsed && { name: parsed.first, attempt: parsed.attempt });
  const sandboxId = engineLabels[SANDBOX_ID_LABEL];
  if (metadata === undefined || sandboxId === undefined) return undefined;
  if (parsed === undefined && !joins(container.HostConfig, sandboxId)) return undefined;
  const { State: state, Config: config } = container;
  const startedAt = nanosFromEngineTime(state.StartedAt);
  const finishedAt = nanosFromEngineTime(state.FinishedAt);
  const engineState = toEngineState(state.Status);
  return {
    kind: 'container',
    id: container.Id,
    engineName,
    sandboxId,
    metadata,
    ...decodeLabels(engineLabels, extra),
    createdAt: createdAtOf(extra) ?? nanosFromEngineTime(container.Created),
    startedAt,
    // The Engine sometimes records the start of a short-lived container later than its end. kubelet must not see an end
    // before a start.
    finishedAt: hasEnded({ state: engineState }) && finishedAt.lessThan(startedAt) ? startedAt : finishedAt,
    state: engineState,
    pid: state.Pid,
    exitCode: state.ExitCode,
    oomKilled: state.OOMKilled,
    error: state.Error,
    image: extra?.image.image ?? config.Image,
    userSpecifiedImage: extra?.image.userSpecified ?? '',
    imageAnnotations: extra?.image.annotations ?? {},
    imageId: container.Image,
    mounts: readMounts(extra?.mounts) ?? fromEngineMounts(container),
    resources: fromEngineResources(container.HostConfig, readKernel(extra?.kernel)),
    user: readUser(extra?.user),
    logPath: engineLabels[LOG_PATH_LABEL] ?? '',
    spoolPath: container.LogPath ?? '',
    madeByOthers: extra === undefined,
    contents: readContents(extra?.contents),
    logDriver: container.HostConfig.LogConfig?.Type ?? '',
    tty: config.Tty ?? false,
    stdin: config.OpenStdin ?? false,
    stdinOnce: config.StdinOnce ?? false,
    stopSignal: config.StopSignal ?? '',
  };
}

/** Whether the name and labels alone contain a container's identity, its pod and its time of creation. */
export function isDescribedByLabels(engineName: string, engineLabels: StringMap): boolean {
  const extra = readExtra(engineLabels, EXTRA_EXAMPLE);
  return (
    parseEngineName(engineName) !== undefined &&
    extra?.sandboxId === engineLabels[SANDBOX_ID_LABEL] &&
    createdAtOf(extra) !== undefined
  );
}

/**
 * Whether a container joins a namespace of its sandbox. A container that joins none, and does not have the name of a pod's
 * container, got its labels from its image. Somebody may have committed that image from a pod's container. An attacker may also
 * have made it, because labels decide where a log is written.
 */
function joins({ NetworkMode, IpcMode, PidMode }: EngineHostConfig, sandboxId: string): boolean {
  return [NetworkMode, IpcMode, PidMode].includes(`container:${sandboxId}`);
}

/**
 * Reads values from a label. They are checked, because everyone with access to the Engine can set labels, and a key
 * becomes part of a path.
 */
function readKernel(kernel: KernelValues | undefined): KernelValues {
  const texts = (map: unknown): StringMap =>
    Object.fromEntries(
      Object.entries(map ?? {}).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
    );
  const isLimit = ([size, bytes]: [string, string]): boolean => isPageSize(size) && /^\d{1,20}$/.test(bytes);
  return {
    hugepages: Object.fromEntries(Object.entries(texts(kernel?.hugepages)).filter(isLimit)),
    unified: Object.fromEntries(Object.entries(texts(kernel?.unified)).filter(([key]) => isKey(key))),
  };
}

/** An example for hasShapeOf. Optional fields are checked separately. */
const MOUNT_IMAGE: MountImageRecord = { image: '', userSpecified: '', annotations: {}, subPath: '', id: '' };

function readMounts(mounts: readonly MountRecord[] | undefined): readonly MountRecord[] | undefined {
  const isWhole = ({ image }: MountRecord): boolean => image === undefined || hasShapeOf(image, MOUNT_IMAGE);
  return mounts?.every(isWhole) === true ? mounts : undefined;
}

function createdAtOf(extra: ContainerExtra | undefined): Long | undefined {
  const nanos: unknown = extra?.createdAt;
  return typeof nanos === 'string' && /^[1-9]\d{0,18}$/.test(nanos) ? Long.fromString(nanos) : undefined;
}

function readUser(user: UserRecord | undefined): UserRecord | undefined {
  if (typeof user !== 'object' || !Array.isArray(user.groups)) return undefined;
  const ids: unknown[] = [user.uid, user.gid, ...(user.groups as unknown[])];
  return ids.every((id) => Number.isSafeInteger(id)) ? user : undefined;
}

/**
 * Makes the record of a container that was just created, equal to the one from an inspect, without an Engine call.
 * @param nowMs milliseconds since the epoch, as in the body's label.
 */
export function createdContainer(
  id: string,
  engineName: string,
  body: EngineContainerCreate,
  image: ImageRecord,
  nowMs: number,
): ContainerRecord {
  const record = containerFromInspect({
    Id: id,
    Name: engineName,
    Created: new Date(nowMs).toISOString(),
    Image: image.id,
    State: {
      Status: 'created',
      Pid: 0,
      ExitCode: 0,
      OOMKilled: false,
      Error: '',
      StartedAt: '',
      FinishedAt: '',
    },
    Config: { ...body, StopSignal: body.StopSignal ?? image.stopSignal },
    HostConfig: body.HostConfig,
    NetworkSettings: {},
  });
  if (record === undefined) throw internal(`the create body of ${engineName} lacks our labels`);
  return record;
}

/**
 * Converts an element of the Engine's list to the form of an inspect. This is used if the inspect fails or hangs, because
 * the container must not disappear from CRI in that case. A state that needs more than the list contains (how the
 * container ended) is `unknown`.
 */
export function inspectFromSummary(summary: EngineContainerSummary): EngineContainerInspect {
  const isPlain = summary.State === 'created' || summary.State === 'running' || summary.State === 'paused';
  const created = new Date(summary.Created * 1000).toISOString();
  return {
    Id: summary.Id,
    Name: summary.Names[0] ?? '',
    Created: created,
    Image: summary.ImageID,
    State: {
      Status: isPlain ? summary.State : 'unknown',
      Pid: 0,
      ExitCode: 0,
      OOMKilled: false,
      Error: '',
      StartedAt: summary.State === 'created' ? '' : created,
      FinishedAt: '',
    },
    Config: { Image: summary.Image, Labels: summary.Labels ?? {} },
    HostConfig: summary.HostConfig ?? {},
    NetworkSettings: summary.NetworkSettings ?? {},
  };
}

/**
 * Converts an element of the Engine's list to a ListedRecord. The list suffices only for a running container that
 * dockbridge created. Everything else needs an inspect: whether a sandbox's network is set up, whether a start failed,
 * and the creation time of cri-dockerd's containers in nanoseconds. An ended container also needs an inspect, because CRI
 * may report its end only when its log is complete.
 */
export function listedFromSummary(summary: EngineContainerSummary): ListedRecord {
  const { Id: id, State, Names, Labels } = summary;
  const labels = Labels ?? {};
  if (labels[TYPE_LABEL] !== CONTAINER_TYPE) return { id, kind: 'sandbox', sandboxId: id, record: undefined };
  const runs = State === 'running' || State === 'paused';
  const isDescribed = runs && isDescribedByLabels(withoutSlash(Names[0] ?? ''), labels);
  const record = isDescribed ? containerFromInspect(inspectFromSummary(summary)) : undefined;
  return { id, kind: 'container', sandboxId: labels[SANDBOX_ID_LABEL] ?? '', record };
}
