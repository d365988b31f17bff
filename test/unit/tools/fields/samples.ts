import { NamespaceMode, SecurityProfileType, Signal } from '../../../../src/proto/enums';

/** A message in the form that its encoder accepts. */
export type Message = Record<string, unknown>;

/** The fields that a message needs to be valid, whichever of its fields is under test. */
export const VALID: Readonly<Record<string, Message>> = {
  PodSandboxMetadata: { name: 'pod', namespace: 'ns', uid: 'u' },
  PodSandboxConfig: { metadata: { name: 'pod', namespace: 'ns', uid: 'u' } },
  ContainerMetadata: { name: 'c' },
  ContainerConfig: { metadata: { name: 'c' }, image: { image: 'busybox' } },
  CreateContainerRequest: {
    pod_sandbox_id: 's1',
    config: { metadata: { name: 'c' }, image: { image: 'busybox' } },
  },
  RunPodSandboxRequest: { config: { metadata: { name: 'pod', namespace: 'ns', uid: 'u' } } },
  ImageSpec: { image: 'busybox' },
  KeyValue: { key: 'K' },
  Mount: { container_path: '/c', host_path: '/h' },
  Device: { container_path: '/dev/c', host_path: '/dev/h', permissions: 'r' },
  CDIDevice: { name: 'vendor.com/class=1' },
  PortMapping: { host_port: 80, container_port: 80 },
  HugepageLimit: { page_size: '2MB', limit: 4096 },
  SecurityProfile: { profile_type: SecurityProfileType.Localhost, localhost_ref: '/profile' },
  UserNamespace: { mode: NamespaceMode.NODE },
};

/** Values with a meaning, for fields whose type's own sample has none. */
export const VALUES: Readonly<Record<string, unknown>> = {
  'RunPodSandboxRequest.runtime_handler': 'crun',
  'PodSandboxConfig.log_directory': '/logs',
  'DNSConfig.servers': ['10.0.0.10'],
  'PortMapping.host_ip': '127.0.0.1',
  'LinuxContainerSecurityContext.masked_paths': ['/masked'],
  'LinuxContainerSecurityContext.readonly_paths': ['/readonly'],
  'LinuxContainerResources.cpu_period': 50_000,
  'LinuxContainerResources.cpu_quota': 25_000,
  'LinuxContainerResources.cpu_shares': 512,
  'LinuxContainerResources.memory_swap_limit_in_bytes': 2,
  'PortMapping.container_port': 81,
  'PortMapping.host_port': 81,
  'LinuxPodSandboxConfig.cgroup_parent': '/kubepods',
  'LinuxSandboxSecurityContext.seccomp_profile_path': 'localhost//profile',
  'LinuxContainerSecurityContext.seccomp_profile_path': 'localhost//profile',
  'LinuxContainerSecurityContext.apparmor_profile': 'localhost/profile',
  'SecurityProfile.profile_type': SecurityProfileType.Unconfined,
  'SecurityProfile.localhost_ref': '/other',
  'SELinuxOption.level': 's0:c1',
  'Capability.add_capabilities': ['NET_ADMIN'],
  'Capability.drop_capabilities': ['NET_RAW'],
  'NamespaceOption.network': NamespaceMode.NODE,
  'NamespaceOption.pid': NamespaceMode.NODE,
  'NamespaceOption.ipc': NamespaceMode.NODE,
  'UserNamespace.mode': NamespaceMode.POD,
  'ContainerConfig.log_path': 'c.log',
  'ContainerConfig.working_dir': '/work',
  'ContainerConfig.stop_signal': Signal.SIGNAL_SIGUSR1,
  'CDIDevice.name': 'vendor.com/class=2',
  'Mount.container_path': '/other',
  'Mount.host_path': '/other',
  'Device.container_path': '/dev/other',
  'Device.host_path': '/dev/other',
  'Device.permissions': 'rw',
  'LinuxContainerResources.cpuset_cpus': '0',
  'LinuxContainerResources.cpuset_mems': '0',
  'HugepageLimit.page_size': '1GB',
  'LinuxContainerResources.hugepage_limits': [{ page_size: '2MB', limit: 1 }],
  'LinuxContainerResources.unified': { 'memory.high': '4096' },
};

/** The other fields that give a field a meaning. */
export const BESIDE: Readonly<Record<string, Message>> = {
  'LinuxSandboxSecurityContext.run_as_group': { run_as_user: { value: 1 } },
  'LinuxContainerSecurityContext.run_as_group': { run_as_user: { value: 1 } },
  'LinuxSandboxSecurityContext.supplemental_groups_policy': { run_as_user: { value: 1 } },
  'LinuxContainerResources.memory_swap_limit_in_bytes': { memory_limit_in_bytes: 1 },
  'NamespaceOption.target_id': { pid: NamespaceMode.TARGET },
  'Mount.recursive_read_only': { readonly: true },
  'Mount.image': { readonly: true, host_path: '' },
  'Mount.image_sub_path': { readonly: true, host_path: '', image: { image: 'busybox' } },
};
