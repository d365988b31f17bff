import type { Ulimit } from '../mapping/target-settings';

/** The file that containerd takes as the start of every container's specification. */
export const BASE_SPEC = '/etc/containerd/cri-base.json';

const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
].map((name) => `CAP_${name}`);

/** Stands for RLIM_INFINITY, 2^64 - 1, which a number of JavaScript cannot hold. */
const INFINITY = 'RLIM_INFINITY';

const TMPFS = ['nosuid', 'strictatime', 'mode=755', 'size=65536k'];
const NO_RIGHTS = ['nosuid', 'noexec', 'nodev'];

/**
 * Returns what `ctr oci spec` prints, with the resource limits. It has neither a seccomp nor an AppArmor profile: with a base
 * specification containerd leaves these in place for containers that ask for none.
 */
export function baseSpec(ulimits: readonly Ulimit[], cgroupVersion: 1 | 2): string {
  const capabilities = { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES };
  const namespaces = ['pid', 'ipc', 'uts', 'mount', 'network', ...(cgroupVersion === 2 ? ['cgroup'] : [])];
  const spec = {
    ociVersion: '1.1.0',
    process: {
      user: { uid: 0, gid: 0 },
      cwd: '/',
      capabilities,
      rlimits: ulimits.map(rlimit),
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    mounts: [
      mount('/proc', 'proc', 'proc', NO_RIGHTS),
      mount('/dev', 'tmpfs', 'tmpfs', TMPFS),
      mount('/dev/pts', 'devpts', 'devpts', [
        'nosuid',
        'noexec',
        'newinstance',
        'ptmxmode=0666',
        'mode=0620',
        'gid=5',
      ]),
      mount('/dev/shm', 'tmpfs', 'shm', [...NO_RIGHTS, 'mode=1777', 'size=65536k']),
      mount('/dev/mqueue', 'mqueue', 'mqueue', NO_RIGHTS),
      mount('/sys', 'sysfs', 'sysfs', [...NO_RIGHTS, 'ro']),
      mount('/run', 'tmpfs', 'tmpfs', TMPFS),
    ],
    linux: {
      resources: { devices: [{ allow: false, access: 'rwm' }] },
      cgroupsPath: '/default',
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths: [
        ...[
          'acpi',
          'asound',
          'kcore',
          'keys',
          'latency_stats',
          'timer_list',
          'timer_stats',
          'sched_debug',
          'scsi',
        ].map((name) => `/proc/${name}`),
        '/sys/firmware',
        '/sys/devices/virtual/powercap',
      ],
      readonlyPaths: ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'].map((name) => `/proc/${name}`),
    },
  };
  return `${JSON.stringify(spec, null, 2).replaceAll(`"${INFINITY}"`, '18446744073709551615')}\n`;
}

function rlimit({ name, soft, hard }: Ulimit): object {
  return {
    type: `RLIMIT_${name.toUpperCase()}`,
    soft: soft < 0 ? INFINITY : soft,
    hard: hard < 0 ? INFINITY : hard,
  };
}

function mount(destination: string, type: string, source: string, options: readonly string[]): object {
  return { destination, type, source, options };
}
