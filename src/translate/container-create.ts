import { failedPrecondition, invalidArgument, unsupported } from '../lib/errors';
import { posix } from 'node:path';
import type { cri, Decoded } from '../proto';
import { NamespaceMode } from '../proto/enums';
import type {
  KernelValues,
  MountRecord,
  NamespaceModes,
  SandboxRecord,
  StringMap,
  UserRecord,
} from '../store/records';
import { toEngineCgroupParent } from './cgroup-parent';
import { toEngineDevices } from './devices';
import type { EngineContainerCreate } from './engine';
import type { EngineFeatures } from './engine-facts';
import {
  CONTAINER_TYPE,
  encodeLabels,
  EXTRA_LABEL,
  LOG_PATH_LABEL,
  SANDBOX_ID_LABEL,
  TYPE_LABEL,
} from './labels';
import type { LabelKeys } from './labels';
import { toEngineMounts } from './engine-mounts';
import { toMountRecords } from './mounts';
import type { ContainerIdentity } from './names';
import { containerNamespaces, POD_NAMESPACES, toNamespaceModes } from './namespaces';
import { toEngineSecurity, type SecuritySurroundings } from './container-security';
import { toIdentity, type ImageIdentity } from './identity';
import { hasKernelValues, toKernelValues } from './kernel-values';
import { toEngineResources } from './resources';
import { containerSeccomp, type SeccompChoice } from './seccomp';
import { toEngineSignal } from './signals';
import { absolutePath, boundedMap, namePart, nonEmpty, required, withoutNul } from './validate';

type Config = Decoded<cri.IContainerConfig>;

/** What names and shared labels cannot hold of a container; the JSON under EXTRA_LABEL. */
export interface ContainerExtra extends LabelKeys {
  readonly v: 1;
  /** As in the label that all share: what an image brings in its own labels cannot know it. */
  readonly sandboxId: string;
  readonly metadata: ContainerIdentity;
  readonly image: { readonly image: string; readonly userSpecified: string; readonly annotations: StringMap };
  readonly mounts: readonly MountRecord[];
  /** Absent in what older versions made. */
  readonly user?: UserRecord;
  /** Absent where the Engine was told everything. */
  readonly kernel?: KernelValues;
}

export interface ContainerSurroundings extends SecuritySurroundings {
  readonly imageIdentity: ImageIdentity;
  /** What the Engine is to run: an image id where we know it. */
  readonly image: string;
  readonly cgroupDriver: string;
  readonly oomFloor: number;
  readonly selinux: boolean;
  readonly features: EngineFeatures;
  readonly spool: { readonly maxSize: string; readonly maxFile: string };
  /** Runtime of the sandbox; '' is the Engine's default. */
  readonly runtime: string;
}

/** A CreateContainer request that passed all checks which need no I/O. */
export interface CheckedContainer {
  readonly config: Config;
  readonly metadata: ContainerIdentity;
  readonly namespaces: NamespaceModes;
  readonly mounts: readonly MountRecord[];
  readonly seccomp: SeccompChoice;
  /** What is written to the container's control group once it runs. */
  readonly kernel: KernelValues;
  /** Absolute, '' for none. */
  readonly logPath: string;
}

const FIELD = 'config.linux.security_context';
/** Of the kernel, with the terminating zero. */
const PATH_MAX = 4096;

/**
 * @param podConfig of the request: sandboxes of cri-dockerd do not tell their log directory, and kubelet makes it anew
 * for each container: with an ephemeral one the pod may have become privileged (`kubectl debug --profile=sysadmin`).
 * @throws INVALID_ARGUMENT, FAILED_PRECONDITION or UNIMPLEMENTED, naming the field.
 */
export function checkContainer(
  config: Config | null,
  sandbox: SandboxRecord,
  podConfig: Decoded<cri.IPodSandboxConfig> | null = null,
): CheckedContainer {
  const checked = required(config, 'config');
  const { name, attempt } = required(checked.metadata, 'config.metadata');
  const image = required(checked.image, 'config.image');
  nonEmpty(image.image, 'config.image.image');
  ownHandler(image, sandbox.runtimeHandler, 'config.image');
  checked.mounts.forEach((mount, index) => {
    if (mount.image !== null)
      ownHandler(mount.image, sandbox.runtimeHandler, `config.mounts[${index}].image`);
  });
  boundedMap(checked.labels, 'config.labels');
  boundedMap(checked.annotations, 'config.annotations');
  if (checked.windows !== null) throw unsupported('config.windows', 'this is a Linux node');
  const context = checked.linux?.security_context ?? null;
  const mayBePrivileged = sandbox.privileged || podConfig?.linux?.security_context?.privileged === true;
  if (context?.privileged === true && !mayBePrivileged)
    throw failedPrecondition(`${FIELD}.privileged: the pod's sandbox was not created privileged`);
  const logDirectory = sandbox.logDirectory === '' ? (podConfig?.log_directory ?? '') : sandbox.logDirectory;
  return {
    config: checked,
    metadata: { name: namePart(name, 'config.metadata.name'), attempt },
    namespaces:
      context === null
        ? inherited(sandbox)
        : toNamespaceModes(context.namespace_options, `${FIELD}.namespace_options`, 'container'),
    mounts: toMountRecords(checked.mounts, 'config.mounts'),
    // Without a security context nothing was said about seccomp: the Engine's own default is the safe reading.
    seccomp: context === null ? { kind: 'engine-default' } : containerSeccomp(context, FIELD),
    kernel: toKernelValues(checked.linux?.resources ?? null, 'config.linux.resources'),
    logPath: toLogPath(logDirectory, checked.log_path),
  };
}

/** The Engine has one set of images for all runtimes; a handler that is not the pod's would be a mistake. */
function ownHandler(image: Decoded<cri.IImageSpec>, handler: string, field: string): void {
  if (image.runtime_handler !== '' && image.runtime_handler !== handler) {
    throw invalidArgument(
      `${field}.runtime_handler`,
      `${JSON.stringify(image.runtime_handler)} is not the pod's (${JSON.stringify(handler)})`,
    );
  }
}

/** The pod's own modes, when a container says nothing: it must at least share a host network. */
function inherited(sandbox: SandboxRecord): NamespaceModes {
  const host = sandbox.namespaces.network === NamespaceMode.NODE;
  return host ? { ...POD_NAMESPACES, network: NamespaceMode.NODE } : POD_NAMESPACES;
}

/** `log_directory/log_path`, which must stay inside log_directory. */
function toLogPath(directory: string, path: string): string {
  if (path === '' || directory === '') return '';
  withoutNul(path, 'config.log_path');
  absolutePath(directory, 'sandbox_config.log_directory');
  const joined = posix.join(directory, path);
  if (Buffer.byteLength(joined) >= PATH_MAX) {
    throw invalidArgument(
      'config.log_path',
      `with the log directory it is longer than ${PATH_MAX - 1} bytes`,
    );
  }
  if (!joined.startsWith(`${posix.normalize(directory).replace(/\/+$/, '')}/`) || joined.endsWith('/')) {
    throw invalidArgument(
      'config.log_path',
      `${JSON.stringify(path)} is no file inside the pod's log directory`,
    );
  }
  return joined;
}

/** Checked request → body of the Engine's create call. */
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
    Labels: toLabels(checked, sandbox, user),
    ...(config.working_dir === ''
      ? {}
      : { WorkingDir: absolutePath(config.working_dir, 'config.working_dir') }),
    // With an explicit group the Engine leaves the image's /etc/group alone: the groups are exactly those in GroupAdd.
    User: `${user.uid}:${user.gid}`,
    ...(stopSignal === '' ? {} : { StopSignal: stopSignal }),
    OpenStdin: config.stdin,
    StdinOnce: config.stdin_once,
    Tty: config.tty,
    // kubelet probes; the image's own health check would only cost.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...containerNamespaces(checked.namespaces, sandbox.id, sandbox.namespaces.network),
      ...toEngineResources(config.linux?.resources ?? null, 'config.linux.resources', surroundings.oomFloor),
      ...security,
      GroupAdd: user.groups.filter((group) => group !== user.gid).map(String),
      ...(surroundings.runtime === '' ? {} : { Runtime: surroundings.runtime }),
      CgroupParent: toEngineCgroupParent(sandbox.cgroupParent, surroundings.cgroupDriver),
      ...toEngineMounts(checked.mounts, surroundings.features, surroundings.selinux, 'config.mounts'),
      ...devices,
      Devices: [...(security.Devices ?? []), ...devices.Devices],
      RestartPolicy: { Name: 'no' },
      // Our log follower reads this spool, whatever driver the Engine defaults to (design.md, decision 3).
      LogConfig: {
        Type: 'json-file',
        Config: {
          'max-size': surroundings.spool.maxSize,
          'max-file': surroundings.spool.maxFile,
          // The Engine merges daemon.json's log-opts in: a compressed spool cannot be followed, a non-blocking one drops.
          compress: 'false',
          mode: 'blocking',
        },
      },
    },
  };
}

/** Both empty: the image's defaults. A command without arguments drops the image's CMD (cri-surface.md 3.3). */
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
    throw unsupported(`${field}.value`, 'is not UTF-8, and the Engine API carries nothing else');
  }
  return `${key}=${withoutNul(value, `${field}.value`)}`;
}

function toLabels(
  checked: CheckedContainer,
  sandbox: SandboxRecord,
  user: UserRecord,
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
    ...encoded.keys,
  };
  return { ...encoded.labels, [EXTRA_LABEL]: JSON.stringify(extra) };
}
