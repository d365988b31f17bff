import type { EngineHostConfig } from '../../engine/types';

/** What a pod's /dev/shm holds with every runtime of Kubernetes, whatever `default-shm-size` says. */
export const SHM_BYTES = 64 * 1024 * 1024;

/**
 * Where a create body is silent, the configuration of dockerd decides. These are the decisions that CRI takes, so every
 * body names them (docs/engine-configuration.md lists all keys of that configuration, and which ones are left to it).
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

/** The element of SecurityOpt: silence would leave the decision to the key `no-new-privileges`. */
export function noNewPrivileges(wanted: boolean): string {
  return wanted ? 'no-new-privileges' : 'no-new-privileges=false';
}

/**
 * The addresses of the node that a host port without `host_ip` is bound to. An empty one would mean the Engine's key `ip`.
 * @param ipv6 whether the node has IPv6: binding `::` fails without.
 */
export function everyAddress(networkMode: string, ipv6: boolean): readonly string[] {
  // The Engine publishes nothing for a pod of CNI; what is kept there is what was asked for.
  if (networkMode === 'none') return [''];
  return ipv6 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}
