import { invalidArgument } from '../../lib/errors';
import type { SandboxRecord } from '../../store/records';
import { isAtLeast } from '../shared/engine-facts';

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
