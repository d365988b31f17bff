import type { EngineHostConfig } from '../../engine/types';

/** The size of a pod's /dev/shm in every Kubernetes runtime, whatever `default-shm-size` says. */
export const SHM_BYTES = 64 * 1024 * 1024;

/**
 * The configuration of dockerd decides what a create body leaves out. CRI defines these values, so every body contains
 * them (docs/engine-configuration.md lists all keys of that configuration, and which ones are left to it).
 * @param cgroupVersion what the Engine says of its machine: `1` or `2`.
 */
export function explicitDefaults(privileged: boolean, cgroupVersion: string): EngineHostConfig {
  return {
    // With `init`, docker-init would be PID 1 in place of the container's own process.
    Init: false,
    // With `userns-remap`, a pod could share neither network, PIDs nor IPC with the node. CRI's default is the node's namespace.
    UsernsMode: 'host',
    // As containerd and CRI-O do: a privileged container sees the node's hierarchy, and so do all on cgroup v1.
    CgroupnsMode: cgroupVersion === '2' && !privileged ? 'private' : 'host',
  };
}

/** Always an element of SecurityOpt: without it dockerd's key `no-new-privileges` would decide. */
export function noNewPrivileges(wanted: boolean): string {
  return wanted ? 'no-new-privileges' : 'no-new-privileges=false';
}

/**
 * The addresses of the node that a host port without `host_ip` is bound to. An empty one would mean the Engine's key `ip`.
 * @param ipv6 whether the node has IPv6: without it binding `::` fails.
 */
export function everyAddress(networkMode: string, ipv6: boolean): readonly string[] {
  // For a CNI pod the Engine publishes nothing and only keeps the request.
  if (networkMode === 'none') return [''];
  return ipv6 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}
