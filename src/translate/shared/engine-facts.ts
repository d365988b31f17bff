import type { EngineInfo, EngineVersion } from '../../engine/types';
import { invalidArgument } from '../../lib/errors';
import type { EngineFacts, EngineState, SandboxRecord } from '../../store/records';

/** The value of `driver-type` in the driver's status lines when containerd stores the images. */
const CONTAINERD_STORE = 'io.containerd.snapshotter.v1';

/** The key under which Engines from 25 on tell what a runtime can do, as `runc features` prints it. */
const FEATURES_KEY = 'org.opencontainers.runtime-spec.features';

/** What the Engine and its machine offer to a container, beyond what every Engine from 20.10 on does. */
export interface EngineFeatures {
  /** The Engine's version, for refusals. */
  readonly version: string;
  /** Mounts that are read-only including all mounts below them: Engine 25, Linux 5.12 and a runtime that says so. */
  readonly recursiveReadOnly: boolean;
  /** Mounts of type `image`: Engine 28. */
  readonly imageMounts: boolean;
  /** Devices by their CDI names: Engine 25 with the feature `cdi`, which is on by default from 28.2 on. */
  readonly cdi: boolean;
}

/** `imageDirectory` is the Engine's root directory, until the real one has been found. */
export function toFacts(version: EngineVersion, info: EngineInfo): EngineFacts {
  const runtimes = Object.entries(info.Runtimes ?? {});
  return {
    id: info.ID ?? '',
    engineVersion: version.Version,
    apiVersion: version.ApiVersion,
    platform: `${version.Os}/${version.Arch}`,
    rootDir: info.DockerRootDir,
    imageDirectory: info.DockerRootDir,
    cgroupDriver: info.CgroupDriver,
    runtimes: runtimes.map(([name]) => name).sort(),
    defaultRuntime: info.DefaultRuntime,
    recursiveReadOnlyRuntimes: runtimes
      .filter(([, runtime]) => knowsMountOption(runtime.status?.[FEATURES_KEY], 'rro'))
      .map(([name]) => name)
      .sort(),
    cdi: (info.CDISpecDirs ?? []).length > 0,
    securityOptions: info.SecurityOptions ?? [],
    storageDriver: info.Driver,
    containerdStore: (info.DriverStatus ?? []).some(
      ([name, value]) => name === 'driver-type' && value === CONTAINERD_STORE,
    ),
    operatingSystem: info.OperatingSystem,
    kernelVersion: info.KernelVersion,
    experimental: info.ExperimentalBuild ?? false,
    cgroupVersion: info.CgroupVersion ?? '1',
  };
}

/** @param handler the pod's handler or runtime; '' and, as for cri-dockerd, `docker` are the default runtime. */
export function featuresFor(facts: EngineFacts | undefined, handler: string): EngineFeatures {
  if (facts === undefined) {
    return { version: 'unknown', recursiveReadOnly: false, imageMounts: false, cdi: false };
  }
  const runtime = handler === '' || handler === 'docker' ? facts.defaultRuntime : handler;
  return {
    version: facts.engineVersion,
    recursiveReadOnly:
      isAtLeast(facts.apiVersion, '1.44') &&
      isAtLeast(facts.kernelVersion, '5.12') &&
      facts.recursiveReadOnlyRuntimes.includes(runtime),
    imageMounts: isAtLeast(facts.apiVersion, '1.48'),
    cdi: facts.cdi,
  };
}

/**
 * The prefix of the path of an image's inspect. From API 1.53 on the answer tells who signed the image. If containerd stores the
 * images, the Engine asks sigstore's servers for this, which takes long on a node without Internet access, each time.
 */
export function imageApi({ ApiVersion = '', MinAPIVersion = '' }: Partial<EngineVersion>): string {
  return isAtLeast(ApiVersion, '1.53') && isAtLeast('1.52', MinAPIVersion) ? '/v1.52' : '';
}

/** Compares `MAJOR.MINOR`, whatever follows. */
export function isAtLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** @param text JSON that a runtime wrote; it may hold anything. */
function knowsMountOption(text: string | undefined, option: string): boolean {
  if (text === undefined) return false;
  try {
    const features: unknown = JSON.parse(text);
    if (typeof features !== 'object' || features === null || !('mountOptions' in features)) return false;
    return Array.isArray(features.mountOptions) && features.mountOptions.includes(option);
  } catch {
    return false;
  }
}

/**
 * Whether the Engine's libnetwork takes the locks of network and controller in both orders when containers end
 * (moby/moby#42545). Fixed in 23.0, and for 20.10 in 20.10.27. Versions that cannot be parsed are not affected.
 */
export function hasNetworkDeadlock(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => parseInt(part, 10));
  if (!(major > 0)) return false;
  return major < 20 || (major === 20 && (minor < 10 || (minor === 10 && patch < 27)));
}

const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const;

/** A state of a future Engine is unknown, also to CRI: kubelet stops such containers before it removes them. */
export function toEngineState(status: string): EngineState {
  return STATES.find((state) => state === status) ?? 'unknown';
}

/** What the Engine tells about its runtimes (`EngineFacts`). */
export interface KnownRuntimes {
  /** The configured runtimes. */
  readonly runtimes: readonly string[];
  readonly apiVersion: string;
}

/**
 * The name of a containerd shim, such as `io.containerd.runsc.v1`: Engines from 23 on (API 1.42) start
 * `containerd-shim-runsc-v1` from their PATH for it, without configuration. Whether it exists shows only at the start.
 */
const SHIM_NAME = /^[a-zA-Z0-9][\w-]*(\.[\w-]+)+$/;
const SHIM_NAMES_SINCE = '1.42';

/**
 * `HostConfig.Runtime` of a container is that of its sandbox, even if the Engine's default has changed since: the containers of
 * a pod with gVisor or Kata Containers need the same runtime as its sandbox. '' is the default.
 */
export function runtimeOf({ runtime, runtimeHandler }: SandboxRecord): string {
  if (runtime !== '') return runtime;
  return runtimeHandler === 'docker' ? '' : runtimeHandler;
}

/**
 * `HostConfig.Runtime`; undefined for the Engine's default, which `''` and, as for cri-dockerd, `docker` mean.
 * @throws INVALID_ARGUMENT for a handler that the Engine does not know.
 */
export function toEngineRuntime(handler: string, known: KnownRuntimes, field: string): string | undefined {
  if (handler === '' || handler === 'docker') return undefined;
  if (known.runtimes.includes(handler)) return handler;
  if (SHIM_NAME.test(handler)) {
    if (isAtLeast(known.apiVersion, SHIM_NAMES_SINCE)) return handler;
    throw invalidArgument(
      field,
      `"${handler}" is a containerd shim: needs Docker Engine 23.0 or newer, or a name in "runtimes" of daemon.json`,
    );
  }
  throw invalidArgument(
    field,
    `"${handler}" is not among the Engine's runtimes (${known.runtimes.join(', ')}); add it to "runtimes" in daemon.json`,
  );
}
