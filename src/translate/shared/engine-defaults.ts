import type { EngineHostConfig } from '../../engine/types';

/**
 * The size of a pod's /dev/shm in bytes. All Kubernetes runtimes use this size, so the Engine's `default-shm-size` is not
 * used.
 */
export const SHM_BYTES = 64 * 1024 * 1024;

/**
 * Returns values that every create body contains. The configuration of dockerd would decide them if they were missing,
 * but CRI defines them. (docs/engine-configuration.md lists all keys of that configuration, and which keys decide.)
 * @param cgroupVersion the cgroup version that the Engine reports for its machine: `1` or `2`.
 */
export function explicitDefaults(privileged: boolean, cgroupVersion: string): EngineHostConfig {
  return {
    // With `init`, docker-init would be PID 1 in place of the container's own process.
    Init: false,
    // With `userns-remap`, a pod could not share network, PIDs or IPC with the node. CRI's default is the node's user
    // namespace.
    UsernsMode: 'host',
    // As in containerd and CRI-O, a privileged container sees the node's hierarchy. On cgroup v1, every container does.
    CgroupnsMode: cgroupVersion === '2' && !privileged ? 'private' : 'host',
  };
}

/**
 * Returns an element of SecurityOpt. It is always set, because dockerd's key `no-new-privileges` would decide otherwise.
 */
export function noNewPrivileges(wanted: boolean): string {
  return wanted ? 'no-new-privileges' : 'no-new-privileges=false';
}

/**
 * Returns the node's addresses to which a host port without `host_ip` is bound. An empty address would mean the Engine's
 * key `ip`.
 * @param ipv6 whether the node has IPv6. Without IPv6, binding `::` fails.
 */
export function everyAddress(networkMode: string, ipv6: boolean): readonly string[] {
  // For a CNI pod, the Engine publishes nothing and only stores the request.
  if (networkMode === 'none') return [''];
  return ipv6 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}
