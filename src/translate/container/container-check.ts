import { posix } from 'node:path';
import { failedPrecondition, invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { KernelValues, MountRecord, NamespaceModes, SandboxRecord } from '../../store/records';
import { contentsOfContainer, type Contents } from '../shared/contents';
import { toKernelValues } from './kernel-values';
import { toMountRecords } from './mounts';
import type { ContainerIdentity } from '../shared/names';
import { POD_NAMESPACES, toNamespaceModes } from '../shared/namespaces';
import { containerSeccomp, type SeccompChoice } from '../shared/security-options';
import { absolutePath, boundedMap, namePart, nonEmpty, required, withoutNul } from '../shared/validate';

type Config = Decoded<cri.IContainerConfig>;

/** A CreateContainer request that passed all checks which need no I/O. */
export interface CheckedContainer {
  readonly config: Config;
  readonly metadata: ContainerIdentity;
  readonly namespaces: NamespaceModes;
  readonly mounts: readonly MountRecord[];
  readonly seccomp: SeccompChoice;
  /** Values that dockbridge writes to the container's cgroup once the container runs. */
  readonly kernel: KernelValues;
  /** An absolute path; '' for no log. */
  readonly logPath: string;
  readonly contents: Contents;
}

const FIELD = 'config.linux.security_context';
/** Linux PATH_MAX, including the terminating NUL. */
const PATH_MAX = 4096;

/**
 * Checks a CreateContainer request.
 * @param podConfig the request's `sandbox_config`. It contains the log directory, which sandboxes of cri-dockerd do not
 * record. It also shows whether the pod is privileged now: kubelet builds this message anew for each container, and an
 * ephemeral container can make the pod privileged after its sandbox was created (`kubectl debug --profile=sysadmin`).
 * @throws INVALID_ARGUMENT, FAILED_PRECONDITION or UNIMPLEMENTED with the name of the field.
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
  const metadata = { name: namePart(name, 'config.metadata.name'), attempt };
  const logPath = toLogPath(logDirectory, checked.log_path);
  return {
    config: checked,
    metadata,
    namespaces:
      context === null
        ? inherited(sandbox)
        : toNamespaceModes(context.namespace_options, `${FIELD}.namespace_options`, 'container'),
    mounts: toMountRecords(checked.mounts, 'config.mounts'),
    // Without a security context, the request says nothing about seccomp, and the Engine's default profile is the safe
    // choice.
    seccomp: context === null ? { kind: 'engine-default' } : containerSeccomp(context, FIELD),
    kernel: toKernelValues(checked.linux?.resources ?? null, 'config.linux.resources'),
    logPath,
    contents: contentsOfContainer(checked, logPath),
  };
}

/**
 * Checks that the image is for the pod's handler. All runtimes of the Engine share one set of images, so another handler
 * is an error.
 */
function ownHandler(image: Decoded<cri.IImageSpec>, handler: string, field: string): void {
  if (image.runtime_handler !== '' && image.runtime_handler !== handler) {
    throw invalidArgument(
      `${field}.runtime_handler`,
      `${JSON.stringify(image.runtime_handler)} is not the pod's handler (${JSON.stringify(handler)})`,
    );
  }
}

/**
 * Returns the namespace modes of a container without a security context. Even such a container must share the host's
 * network with its pod.
 */
function inherited(sandbox: SandboxRecord): NamespaceModes {
  const host = sandbox.namespaces.network === NamespaceMode.NODE;
  return host ? { ...POD_NAMESPACES, network: NamespaceMode.NODE } : POD_NAMESPACES;
}

/** Returns `log_directory/log_path`, which must be inside log_directory. */
function toLogPath(directory: string, path: string): string {
  if (path === '' || directory === '') return '';
  withoutNul(path, 'config.log_path');
  absolutePath(directory, 'sandbox_config.log_directory');
  const joined = posix.join(directory, path);
  if (Buffer.byteLength(joined) >= PATH_MAX) {
    throw invalidArgument(
      'config.log_path',
      `together with the log directory, it is longer than ${PATH_MAX - 1} bytes`,
    );
  }
  if (!joined.startsWith(`${posix.normalize(directory).replace(/\/+$/, '')}/`) || joined.endsWith('/')) {
    throw invalidArgument(
      'config.log_path',
      `${JSON.stringify(path)} is not a file inside the pod's log directory`,
    );
  }
  return joined;
}
