import type { cri } from '../../proto';
import { MountPropagation, NamespaceMode, SecurityProfileType, Signal } from '../../proto/enums';

/** A container of the scenario, with the settings that it has in addition to the defaults. */
export interface ScenarioContainer {
  readonly name: string;
  /** Commands that the container's shell runs before it waits for its stop. */
  readonly script?: string;
  readonly config?: cri.IContainerConfig;
  readonly security?: cri.ILinuxContainerSecurityContext;
  readonly resources?: cri.ILinuxContainerResources;
}

export interface ScenarioPod {
  readonly name: string;
  readonly config?: cri.IPodSandboxConfig;
  readonly security?: cri.ILinuxSandboxSecurityContext;
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly containers: readonly ScenarioContainer[];
}

/** Directories and files below the scratch directory of a run, which are the sources of mounts. */
export const SCRATCH_DIRECTORIES = ['mounts/data', 'mounts/other'];
export const SCRATCH_FILES = ['mounts/file'];

/** The paths that kubelet asks to mask, and to make read-only, unless a pod has `procMount: Unmasked`. */
const MASKED = [
  ...['/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
  ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'],
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const UNCONFINED = { profile_type: SecurityProfileType.Unconfined };
const RUNTIME_DEFAULT = { profile_type: SecurityProfileType.RuntimeDefault };
const POD_NAMESPACES = {
  network: NamespaceMode.POD,
  pid: NamespaceMode.CONTAINER,
  ipc: NamespaceMode.POD,
};
const MIB = 1024 * 1024;

/** The security context that kubelet sends for a container without any security settings. */
export const KUBELET_SECURITY: cri.ILinuxContainerSecurityContext = {
  namespace_options: POD_NAMESPACES,
  seccomp: UNCONFINED,
  masked_paths: MASKED,
  readonly_paths: READ_ONLY,
};
/** The resources that kubelet sends for a container of a BestEffort pod. */
export const KUBELET_RESOURCES: cri.ILinuxContainerResources = { cpu_shares: 2, oom_score_adj: 1000 };
export const KUBELET_POD_SECURITY: cri.ILinuxSandboxSecurityContext = {
  namespace_options: POD_NAMESPACES,
  seccomp: RUNTIME_DEFAULT,
};

/** Writes lines that runtimes may log differently: long lines (which they split), lines with special characters, and a line without an end. */
const LOG_SCRIPT = [
  'echo to stdout',
  'echo to stderr >&2',
  'echo',
  "printf 'two '; printf 'parts\\n'",
  "head -c 40000 /dev/zero | tr '\\0' x; echo",
  "printf 'tab\\tand return\\r\\n'",
  "printf 'f\\303\\266reign \\342\\202\\254\\n'",
  "printf 'no UTF-8: \\377\\376\\n'",
  "printf 'no line break' >&2",
].join('; ');

/** Returns pods that each use one common feature, so that a difference shows which feature causes it. */
export function effectsScenario(scratch: string): readonly ScenarioPod[] {
  const source = (name: string): string => `${scratch}/mounts/${name}`;
  return [
    { name: 'plain', containers: [{ name: 'first' }, { name: 'second' }] },
    {
      name: 'resources',
      containers: [
        {
          name: 'limited',
          resources: {
            ...{ cpu_period: 100_000, cpu_quota: 50_000, cpu_shares: 256, oom_score_adj: 900 },
            ...{ memory_limit_in_bytes: 64 * MIB, memory_swap_limit_in_bytes: 64 * MIB, cpuset_cpus: '0' },
          },
        },
        { name: 'guaranteed', resources: { cpu_shares: 1024, oom_score_adj: -997 } },
      ],
    },
    {
      name: 'user',
      containers: [
        {
          name: 'numbers',
          security: {
            ...{ run_as_user: { value: 1000 }, run_as_group: { value: 2000 } },
            ...{ supplemental_groups: [3000, 4000], no_new_privs: true },
          },
        },
        { name: 'name', security: { run_as_username: 'www-data' } },
      ],
    },
    {
      name: 'capabilities',
      containers: [
        { name: 'added', security: { capabilities: { add_capabilities: ['NET_ADMIN', 'SYS_TIME'] } } },
        { name: 'dropped', security: { capabilities: { drop_capabilities: ['ALL'] } } },
        {
          name: 'one',
          security: {
            run_as_user: { value: 1000 },
            capabilities: { add_capabilities: ['NET_BIND_SERVICE'], drop_capabilities: ['ALL'] },
          },
        },
      ],
    },
    {
      name: 'privileged',
      security: { privileged: true },
      containers: [{ name: 'all', security: { privileged: true, masked_paths: [], readonly_paths: [] } }],
    },
    {
      name: 'confined',
      containers: [
        { name: 'read-only-root', security: { readonly_rootfs: true } },
        { name: 'seccomp', security: { seccomp: RUNTIME_DEFAULT, no_new_privs: true } },
        { name: 'unmasked', security: { masked_paths: [], readonly_paths: [] } },
      ],
    },
    {
      name: 'sysctls',
      sysctls: {
        ...{ 'kernel.shm_rmid_forced': '1', 'net.core.somaxconn': '1024' },
        ...{ 'net.ipv4.ip_unprivileged_port_start': '80', 'net.ipv4.ping_group_range': '0 1000' },
      },
      containers: [{ name: 'changed' }],
    },
    {
      name: 'dns',
      config: {
        dns_config: {
          servers: ['192.0.2.53', '192.0.2.54'],
          searches: ['team.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
          options: ['ndots:5', 'edns0'],
        },
      },
      containers: [{ name: 'cluster' }],
    },
    {
      name: 'node-network',
      config: { hostname: '' },
      security: { namespace_options: { ...POD_NAMESPACES, network: NamespaceMode.NODE } },
      containers: [
        {
          name: 'shared',
          security: { namespace_options: { ...POD_NAMESPACES, network: NamespaceMode.NODE } },
        },
      ],
    },
    {
      name: 'one-pid-namespace',
      security: { namespace_options: { ...POD_NAMESPACES, pid: NamespaceMode.POD } },
      containers: ['first', 'second'].map((name) => ({
        name,
        security: { namespace_options: { ...POD_NAMESPACES, pid: NamespaceMode.POD } },
      })),
    },
    {
      name: 'mounts',
      containers: [
        {
          name: 'volumes',
          config: {
            mounts: [
              { container_path: '/effects/data', host_path: source('data') },
              { container_path: '/effects/read-only', host_path: source('other'), readonly: true },
              {
                container_path: '/effects/slave',
                host_path: source('data'),
                propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
              },
              { container_path: '/etc/hosts', host_path: source('file') },
              { container_path: '/effects/file', host_path: source('file'), readonly: true },
            ],
          },
        },
      ],
    },
    {
      name: 'privileged-mounts',
      security: { privileged: true },
      containers: [
        {
          name: 'volumes',
          security: { privileged: true },
          config: {
            mounts: [
              {
                container_path: '/effects/shared',
                host_path: source('data'),
                propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL,
              },
            ],
          },
        },
      ],
    },
    {
      name: 'devices',
      containers: [
        {
          name: 'read',
          config: {
            // Every node has this device, and containers cannot open it by default.
            devices: [{ container_path: '/dev/effects-kmsg', host_path: '/dev/kmsg', permissions: 'r' }],
          },
        },
        {
          name: 'write',
          config: {
            devices: [{ container_path: '/dev/effects-kmsg', host_path: '/dev/kmsg', permissions: 'rwm' }],
          },
        },
      ],
    },
    {
      name: 'process',
      containers: [
        {
          name: 'environment',
          config: {
            working_dir: '/made/for/this',
            envs: Object.entries({
              PLAIN: 'word',
              EMPTY: '',
              SPECIAL: `$HOME "quoted" 'single' \\ back = equals\ttab\nline é €`,
              'with.dots-and-dashes': 'kept',
              PATH: '/bin:/usr/bin:/sbin',
            }).map(([key, value]) => ({ key, value: Buffer.from(value) })),
          },
        },
        { name: 'signal', config: { stop_signal: Signal.SIGNAL_SIGUSR1 } },
        { name: 'terminal', config: { tty: true, stdin: true } },
      ],
    },
    { name: 'log', containers: [{ name: 'lines', script: LOG_SCRIPT }] },
  ];
}
