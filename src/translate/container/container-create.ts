import { posix } from 'node:path';
import type { EngineContainerCreate, EngineHostConfig } from '../../engine/types';
import { invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { KernelValues, MountRecord, SandboxRecord, StringMap, UserRecord } from '../../store/records';
import type { Contents } from '../shared/contents';
import { explicitDefaults } from '../shared/engine-defaults';
import type { EngineFeatures } from '../shared/engine-facts';
import {
  CONTAINER_TYPE,
  encodeLabels,
  EXTRA_LABEL,
  type LabelKeys,
  LOG_PATH_LABEL,
  SANDBOX_ID_LABEL,
  TYPE_LABEL,
} from '../shared/labels';
import type { ContainerIdentity } from '../shared/names';
import { containerNamespaces } from '../shared/namespaces';
import { nanosFromMillis } from '../shared/time';
import { type ImageIdentity, toIdentity } from '../shared/user';
import { absolutePath, nonEmpty, withoutNul } from '../shared/validate';
import type { CheckedContainer } from './container-check';
import { type SecuritySurroundings, toEngineSecurity } from './container-security';
import { hasKernelValues } from './kernel-values';
import { toEngineMounts } from './mounts';
import { toEngineCgroupParent, toEngineResources } from './resources';
import { toEngineSignal } from './signals';

type Config = Decoded<cri.IContainerConfig>;

/** The JSON under EXTRA_LABEL. It contains what the name and the shared labels of a container cannot hold. */
export interface ContainerExtra extends LabelKeys {
  readonly v: 1;
  /**
   * Equals the shared label. A label that was copied with an image contains the id of another sandbox, which reveals the copy.
   */
  readonly sandboxId: string;
  readonly metadata: ContainerIdentity;
  readonly image: { readonly image: string; readonly userSpecified: string; readonly annotations: StringMap };
  readonly mounts: readonly MountRecord[];
  /** Absent in containers of older versions. */
  readonly user?: UserRecord;
  /** Absent if the Engine has fields for all values. */
  readonly kernel?: KernelValues;
  /**
   * Nanoseconds since the epoch. The record keeps this time, because kubelet sees it before the first inspect reports the
   * Engine's own time. Absent in containers of older versions.
   */
  readonly createdAt?: string;
  /** Absent in containers of older versions. */
  readonly contents?: Contents;
}

/** The json-file to which a container logs. */
export interface Spool {
  readonly maxSize: string;
  readonly maxFile: string;
  /** Whether the pod's log is a link to this file. Otherwise the log is copied from the file. */
  readonly isLog: boolean;
}

export interface ContainerSurroundings extends SecuritySurroundings {
  readonly imageIdentity: ImageIdentity;
  /** The image to run: its id if it is known, otherwise its name. */
  readonly image: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  readonly oomFloor: number;
  readonly selinux: boolean;
  readonly features: EngineFeatures;
  readonly spool: Spool;
  /** The Engine's name of the sandbox's runtime; '' is the Engine's default. */
  readonly runtime: string;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

const FIELD = 'config.linux.security_context';
/** Translates a checked request to the body of the Engine's create call. */
export function toContainerCreate(
  checked: CheckedContainer,
  sandbox: SandboxRecord,
  surroundings: ContainerSurroundings,
  seccompOptions: readonly string[],
): EngineContainerCreate {
  const { config } = checked;
  const context = config.linux?.security_context ?? null;
  const user = toIdentity(context, surroundings.imageIdentity, FIELD);
  const stopSignal = toEngineSignal(config.stop_signal, 'config.stop_signal');
  const security = toEngineSecurity(context, FIELD, surroundings, seccompOptions);
  const devices = toEngineDevices(config, surroundings.features, 'config');
  return {
    Image: surroundings.image,
    ...command(config),
    Env: config.envs.map((env, index) => environment(env, `config.envs[${index}]`)),
    Labels: toLabels(checked, sandbox, user, surroundings.nowMs),
    ...(config.working_dir === ''
      ? {}
      : { WorkingDir: absolutePath(config.working_dir, 'config.working_dir') }),
    // With an explicit group, the Engine ignores the image's /etc/group, so the groups are exactly those in GroupAdd.
    User: `${user.uid}:${user.gid}`,
    ...(stopSignal === '' ? {} : { StopSignal: stopSignal }),
    OpenStdin: config.stdin,
    StdinOnce: config.stdin_once,
    Tty: config.tty,
    // kubelet probes containers, so the image's health check would only cost time.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...containerNamespaces(checked.namespaces, sandbox.id, sandbox.namespaces.network),
      ...explicitDefaults(context?.privileged ?? false, surroundings.cgroupVersion),
      ...toEngineResources(config.linux?.resources ?? null, 'config.linux.resources', surroundings.oomFloor),
      ...security,
      GroupAdd: user.groups.filter((group) => group !== user.gid).map(String),
      ...(surroundings.runtime === '' ? {} : { Runtime: surroundings.runtime }),
      CgroupParent: toEngineCgroupParent(
        sandbox.cgroupParent,
        surroundings.cgroupDriver,
        'sandbox_config.linux.cgroup_parent',
      ),
      ...toEngineMounts(checked.mounts, surroundings.features, surroundings.selinux, 'config.mounts'),
      ...devices,
      Devices: [...(security.Devices ?? []), ...devices.Devices],
      RestartPolicy: { Name: 'no' },
      // The pod's log is a copy of this file or a link to it, whatever the Engine's default log driver is (ADR 0007).
      LogConfig: { Type: 'json-file', Config: toLogOptions(surroundings.spool) },
    },
  };
}

/**
 * Keeps the Engine from adding attributes to each record, because a pod's labels are many times as long as a log line.
 */
const NO_ATTRIBUTES = { labels: '', 'labels-regex': '', env: '', 'env-regex': '', tag: '' };

/**
 * Returns the log options. The Engine adds the log-opts of its daemon.json, except for the keys that this function sets.
 */
function toLogOptions({ maxSize, maxFile, isLog }: Spool): Record<string, string> {
  return {
    'max-size': maxSize,
    'max-file': maxFile,
    // A compressed spool cannot be followed, a non-blocking one loses output, and one with attributes is full after fewer
    // lines.
    compress: 'false',
    mode: 'blocking',
    ...(isLog ? {} : NO_ATTRIBUTES),
  };
}

/**
 * Returns entrypoint and command. If both are empty, the image's defaults apply. A command without arguments drops the
 * image's CMD.
 */
function command(config: Config): Pick<EngineContainerCreate, 'Entrypoint' | 'Cmd'> {
  return {
    ...(config.command.length === 0 ? {} : { Entrypoint: strings(config.command, 'config.command') }),
    ...(config.args.length === 0 && config.command.length === 0
      ? {}
      : { Cmd: strings(config.args, 'config.args') }),
  };
}

function strings(values: readonly string[] | undefined, field: string): string[] {
  return (values ?? []).map((value, index) => withoutNul(value, `${field}[${index}]`));
}

function environment(env: Decoded<cri.IKeyValue>, field: string): string {
  const key = nonEmpty(env.key, `${field}.key`);
  if (key.includes('=')) throw invalidArgument(`${field}.key`, `${JSON.stringify(key)} contains "="`);
  let value: string;
  try {
    value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(env.value);
  } catch {
    throw unsupported(`${field}.value`, 'is not UTF-8, and the Engine API accepts only UTF-8');
  }
  return `${key}=${withoutNul(value, `${field}.value`)}`;
}

function toLabels(
  checked: CheckedContainer,
  sandbox: SandboxRecord,
  user: UserRecord,
  nowMs: number,
): Record<string, string> {
  const { config, metadata, mounts: mountRecords } = checked;
  const own = {
    [TYPE_LABEL]: CONTAINER_TYPE,
    [SANDBOX_ID_LABEL]: sandbox.id,
    [LOG_PATH_LABEL]: checked.logPath,
  };
  const encoded = encodeLabels(own, config.labels, config.annotations);
  const extra: ContainerExtra = {
    v: 1,
    sandboxId: sandbox.id,
    metadata,
    image: {
      image: config.image?.image ?? '',
      userSpecified: config.image?.user_specified_image ?? '',
      annotations: config.image?.annotations ?? {},
    },
    mounts: mountRecords,
    user,
    ...(hasKernelValues(checked.kernel) ? { kernel: checked.kernel } : {}),
    createdAt: nanosFromMillis(nowMs).toString(),
    contents: checked.contents,
    ...encoded.keys,
  };
  return { ...encoded.labels, [EXTRA_LABEL]: JSON.stringify(extra) };
}

type WithDevices = Pick<Decoded<cri.IContainerConfig>, 'devices' | 'CDI_devices'>;

interface EngineDevices extends Pick<EngineHostConfig, 'DeviceRequests'> {
  readonly Devices: { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }[];
}

/** A device name in the Container Device Interface, such as `vendor.example/class=name`. */
const CDI_NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*=[A-Za-z0-9][\w.:-]*$/;

export function toEngineDevices(config: WithDevices, features: EngineFeatures, field: string): EngineDevices {
  const names = config.CDI_devices.map(({ name }, index) =>
    cdiName(name, features, `${field}.CDI_devices[${index}]`),
  );
  return {
    Devices: toEngineDeviceList(config.devices, `${field}.devices`),
    ...(names.length === 0 ? {} : { DeviceRequests: [{ Driver: 'cdi', DeviceIDs: names }] }),
  };
}

function toEngineDeviceList(devices: WithDevices['devices'], field: string): EngineDevices['Devices'] {
  const seen = new Map<string, { source: string; index: number }>();
  return devices.map((device, index) => {
    const made = toEngineDevice(device, `${field}[${index}]`);
    const [source, target] = [posix.normalize(made.PathOnHost), posix.join(made.PathInContainer, '/')];
    const at = `${field}[${index}].container_path`;
    if (target === '/') throw invalidArgument(at, `"${device.container_path}" is the root of the container`);
    const first = seen.get(target);
    // The OCI runtime creates the first device and ignores the others. The same device may occur twice, with its
    // permissions divided.
    if (first !== undefined && first.source !== source)
      throw invalidArgument(at, `"${device.container_path}" is already used by ${field}[${first.index}]`);
    seen.set(target, { source, index });
    return made;
  });
}

function toEngineDevice(
  device: Decoded<cri.IDevice>,
  field: string,
): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  if (!/^[rwm]{1,3}$/.test(device.permissions)) {
    throw invalidArgument(
      `${field}.permissions`,
      `${JSON.stringify(device.permissions)} is not made of r, w and m`,
    );
  }
  const path = (name: 'host_path' | 'container_path'): string =>
    absolutePath(withoutNul(device[name], `${field}.${name}`), `${field}.${name}`);
  return {
    PathOnHost: path('host_path'),
    PathInContainer: path('container_path'),
    CgroupPermissions: device.permissions,
  };
}

function cdiName(name: string, features: EngineFeatures, field: string): string {
  if (!CDI_NAME.test(name)) {
    throw invalidArgument(`${field}.name`, `${JSON.stringify(name)} is not a CDI device (vendor/class=name)`);
  }
  if (!features.cdi) {
    throw unsupported(
      `${field}.name`,
      `needs Docker Engine 25.0 or newer with "features": {"cdi": true} in daemon.json (this is ${features.version})`,
    );
  }
  return name;
}
