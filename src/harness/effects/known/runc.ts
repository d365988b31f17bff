import type { Explanation } from '../explanation';

/** The runtimes that use runc. Each of them can have an older or a newer runc. */
const RUNTIMES = ['docker', 'containerd'];

/** Pairs of the root mount with an older runc and with a newer one. */
const ROOTS = [
  [/^overlay rw slave$/, /^overlay rw$/],
  [/^overlay ro slave$/, /^overlay ro$/],
  [/^overlay rw$/, /^overlay rw shared$/],
] as const;

const ROOT: readonly Explanation[] = RUNTIMES.flatMap((older) =>
  RUNTIMES.flatMap((newer) =>
    ROOTS.map(([before, after]): Explanation => ({
      effect: 'mount /',
      sides: [
        { runtime: older, value: before },
        { runtime: newer, value: after },
      ],
      because:
        "runc 1.1 mounts a container's root with slave propagation, never shared. runc 1.5 mounts it private, or shared if the pod has a volume with bidirectional propagation.",
      advice:
        'With both versions, volumes have the propagation that the pod asks for. This matters only to a container that mounts something into its own root and expects to see it elsewhere. Compare the versions of runc on the nodes.',
    })),
  ),
);

const SHARED_MEMORY: readonly Explanation[] = RUNTIMES.map((runtime) => ({
  effect: 'mount /dev/shm',
  sides: [
    { runtime, value: /^tmpfs nodev,noexec,nosuid,rw size=65536k$/ },
    { runtime: 'containerd', value: /^tmpfs rw size=65536k( shared)?$/ },
  ],
  because:
    "containerd mounts the pod's /dev/shm into the container without specifying mount flags. runc 1.1 keeps the flags of the mount on the node (nodev, noexec, nosuid), and runc 1.5 clears them.",
  advice:
    'Files in /dev/shm can then be executed, and no field of a pod restores noexec. Check policies that rely on noexec.',
}));

/** The mounts of every container, as Docker creates them, and as containerd creates them if that differs. */
const MOUNTS: readonly (readonly [place: string, docker: string, containerd?: string])[] = [
  ['/dev', 'tmpfs nosuid,rw mode=755 size=65536k'],
  ['/dev/mqueue', 'mqueue nodev,noexec,nosuid,rw'],
  ['/dev/pts', 'devpts noexec,nosuid,rw'],
  ['/etc/hostname', 'bind rw'],
  ['/etc/hosts', 'bind rw'],
  ['/etc/resolv.conf', 'bind rw'],
  ['/proc', 'proc nodev,noexec,nosuid,rw'],
  ['/sys', 'sysfs nodev,noexec,nosuid,ro', 'sysfs nodev,noexec,nosuid,rw'],
  ['/sys/fs/cgroup', 'tmpfs nodev,noexec,nosuid,rw mode=755'],
];

const SHARED_MOUNTS: readonly Explanation[] = MOUNTS.flatMap(([place, docker, containerd = docker]) =>
  RUNTIMES.map((runtime): Explanation => ({
    effect: `mount ${place}`,
    container: 'privileged-mounts/volumes',
    sides: [
      { runtime, value: exactly(runtime === 'docker' ? docker : containerd) },
      { runtime: 'containerd', value: exactly(`${containerd} shared`) },
    ],
    because:
      'For a volume with bidirectional propagation, containerd asks runc to share all mounts of the container, and Docker asks it to share only the root. runc 1.1 does not do this, and runc 1.5 does.',
    advice:
      'This matters only to programs in such a container that create their own mount namespaces, because mounts then propagate between these namespaces.',
  })),
);

/** The soft limit equals the hard limit, or does not. */
const [RAISED, SET] = [/^soft (\d+) hard \1$/, /^soft (?!(\d+) hard \1$)\d+ hard \d+$/];

const EXEC_LIMIT: readonly Explanation[] = RUNTIMES.flatMap((one) =>
  RUNTIMES.map((other) => ({
    effect: 'exec.limit open files',
    sides: [
      { runtime: one, value: RAISED },
      { runtime: other, value: SET },
    ],
    // runc raises only the soft limit, and only that of exec. Other values come from the limits that the runtimes themselves have.
    pairedBy: /hard \d+$/,
    ifEqual: 'limit open files',
    because:
      "Go raises the soft limit of open files to the hard limit when a program starts. In runc 1.1 this sometimes happens after runc has set the container's limits, so that a command run by exec has the higher limit now and then. The container's own process always has the limit that was set.",
    advice: 'If a probe or a script depends on the limit, update runc to 1.1.13 or to 1.2 (runc issue 4195).',
  })),
);

/** Differences that come from the version of runc. Debian 12 has runc 1.1, and we ran Engine 29 with runc 1.5. */
export const RUNC: readonly Explanation[] = [...ROOT, ...SHARED_MEMORY, ...SHARED_MOUNTS, ...EXEC_LIMIT];

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`);
}
