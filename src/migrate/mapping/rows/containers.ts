import { byHand, dropped, lost, planned, row, rowBy, type SettingRow } from '../row';

const USER_NAMESPACES =
  'Pods get a user namespace with hostUsers: false. Files in volumes that belong to remapped ids must be given to other owners.';

/** Settings about what every container gets. */
export const CONTAINER_ROWS: readonly SettingRow[] = [
  row(
    'containers',
    'default-ulimits.*',
    planned('becomes a resource limit in the base specification /etc/containerd/cri-base.json'),
    planned('becomes an entry of default_ulimits'),
  ),
  rowBy('containers', 'default-shm-size', (value) =>
    ['64M', '64MB', '64m', '64mb', '67108864', 67_108_864].includes(value as string | number)
      ? dropped('is what the target gives, too')
      : [
          byHand(
            'has no counterpart: /dev/shm has 64 MiB',
            'Give pods that need more an emptyDir with medium Memory on /dev/shm.',
          ),
          byHand(
            'has no counterpart: /dev/shm has 64 MiB',
            'Give pods that need more an emptyDir with medium Memory on /dev/shm, or the annotation shm-size.crio.io if the configuration of the runtime allows it.',
          ),
        ],
  ),
  rowBy('containers', 'init', (value) =>
    value === false
      ? dropped('is what the target does, too')
      : lost(
          'has no counterpart',
          'A container whose first process reaps no children needs an init in its image, or shareProcessNamespace in its pod.',
        ),
  ),
  row('containers', 'init-path', dropped('has no effect, because the target starts no init of its own')),
  row('containers', 'default-init', dropped('has no effect, because the target starts no init of its own')),
  rowBy('containers', 'seccomp-profile', (value) =>
    value === 'builtin' || value === 'default'
      ? dropped('is the RuntimeDefault of the target, too')
      : value === 'unconfined'
        ? dropped('is what a pod without a profile gets')
        : [
            planned(
              'becomes unset_seccomp_profile, which applies to pods that name no profile',
              'Pods with RuntimeDefault get the profile that is built into containerd. Pods that need your profile must name it as a Localhost profile.',
            ),
            planned('becomes seccomp_profile, which takes the place of RuntimeDefault'),
          ],
  ),
  rowBy('containers', 'selinux-enabled', (value) =>
    value === false
      ? dropped('is the default')
      : [planned('becomes enable_selinux'), planned('becomes selinux')],
  ),
  rowBy('containers', 'no-new-privileges', (value) =>
    value === false
      ? dropped('is the default')
      : byHand(
          'has no counterpart, because CRI sets it for each container',
          'Set allowPrivilegeEscalation: false in the pods, or enforce the Pod Security Standard "restricted".',
        ),
  ),
  row('containers', 'userns-remap', lost('has no counterpart for the whole node', USER_NAMESPACES)),
  rowBy('containers', 'default-ipc-mode', () =>
    dropped('has no effect on pods: CRI names the IPC namespace of each container'),
  ),
  row(
    'containers',
    'default-stop-timeout',
    dropped('has no effect on pods: the kubelet names the time with each stop'),
  ),
  row(
    'containers',
    'rootless',
    byHand('has no counterpart in a node of a cluster', 'Plan for the Engine that runs as root.'),
  ),
];
