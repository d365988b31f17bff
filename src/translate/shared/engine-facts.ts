import type { EngineInfo, EngineVersion } from '../../engine/types';
import { invalidArgument } from '../../lib/errors';
import type { EngineFacts, EngineState, SandboxRecord } from '../../store/records';

/** The value of `driver-type` in the driver's status lines when containerd stores the images. */
const CONTAINERD_STORE = 'io.containerd.snapshotter.v1';

/** The key under which Engines from 25 on report the features of a runtime, as printed by `runc features`. */
const FEATURES_KEY = 'org.opencontainers.runtime-spec.features';

/** What the Engine and its machine offer to a container beyond the features of Engine 20.10. */
export interface EngineFeatures {
  /** The Engine's version, for error messages. */
  readonly version: string;
  /** Recursively read-only mounts, which need Engine 25, Linux 5.12 and a runtime that reports support for them. */
  readonly recursiveReadOnly: boolean;
  /** Mounts of type `image`, which need Engine 28. */
  readonly imageMounts: boolean;
  /** Devices by their CDI names, which need Engine 25 with the feature `cdi`. It is enabled by default from 28.2 on. */
  readonly cdi: boolean;
}

/**
 * Extracts the facts from the Engine's answers. `imageDirectory` is the Engine's root directory until the real directory
 * has been found.
 */
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

/**
 * Returns what the Engine offers to containers of this handler.
 * @param handler the pod's handler or runtime. '' and, as with cri-dockerd, `docker` mean the default runtime.
 */
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
 * Returns the API prefix for the path of an image's inspect. From API 1.53 on, the answer reports who signed the image.
 * If containerd stores the images, the Engine sends a request to sigstore's servers for each such answer. On a node without
 * Internet access, this takes a long time.
 */
export function imageApi({ ApiVersion = '', MinAPIVersion = '' }: Partial<EngineVersion>): string {
  return isAtLeast(ApiVersion, '1.53') && isAtLeast('1.52', MinAPIVersion) ? '/v1.52' : '';
}

/** Compares `MAJOR.MINOR` and ignores the rest. */
export function isAtLeast(version: string, wanted: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/**
 * Whether a runtime reports that it knows a mount option.
 * @param text JSON that a runtime wrote, with any content.
 */
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
 * (moby/moby#42545). This is fixed in 23.0 and, for 20.10, in 20.10.27. Versions that cannot be parsed count as not
 * affected.
 */
export function hasNetworkDeadlock(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => parseInt(part, 10));
  if (!(major > 0)) return false;
  return major < 20 || (major === 20 && (minor < 10 || (minor === 10 && patch < 27)));
}

const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const;

/**
 * Converts the Engine's state. A state of a future Engine becomes `unknown`, also in CRI, so that kubelet stops the
 * container before it removes it.
 */
export function toEngineState(status: string): EngineState {
  return STATES.find((state) => state === status) ?? 'unknown';
}

/** The part of `EngineFacts` that concerns runtimes. */
export interface KnownRuntimes {
  /** The configured runtimes. */
  readonly runtimes: readonly string[];
  readonly apiVersion: string;
}

/**
 * The name of a containerd shim, such as `io.containerd.runsc.v1`. Engines from 23 on (API 1.42) run
 * `containerd-shim-runsc-v1` from their PATH for this name, without configuration. If the program does not exist, only the
 * start of a container fails.
 */
const SHIM_NAME = /^[a-zA-Z0-9][\w-]*(\.[\w-]+)+$/;
const SHIM_NAMES_SINCE = '1.42';

/**
 * Returns the `HostConfig.Runtime` of a container. It equals its sandbox's runtime, even if the Engine's default has changed
 * since then, because all containers of a pod with gVisor or Kata Containers need the same runtime. '' is the default.
 */
export function runtimeOf({ runtime, runtimeHandler }: SandboxRecord): string {
  if (runtime !== '') return runtime;
  return runtimeHandler === 'docker' ? '' : runtimeHandler;
}

/**
 * Returns the `HostConfig.Runtime` of a sandbox; undefined for the Engine's default runtime. The handlers `''` and, as with
 * cri-dockerd, `docker` mean this default.
 * @throws INVALID_ARGUMENT for a handler that the Engine does not know.
 */
export function toEngineRuntime(handler: string, known: KnownRuntimes, field: string): string | undefined {
  if (handler === '' || handler === 'docker') return undefined;
  if (known.runtimes.includes(handler)) return handler;
  if (SHIM_NAME.test(handler)) {
    if (isAtLeast(known.apiVersion, SHIM_NAMES_SINCE)) return handler;
    throw invalidArgument(
      field,
      `"${handler}" is a containerd shim, which needs Docker Engine 23.0 or newer, or a name in "runtimes" of daemon.json`,
    );
  }
  throw invalidArgument(
    field,
    `"${handler}" is not among the Engine's runtimes (${known.runtimes.join(', ')}); add it to "runtimes" in daemon.json`,
  );
}
