import {
  byHand,
  dropped,
  lost,
  planned,
  row,
  rowBy,
  type NodeState,
  type Outcome,
  type SettingRow,
} from '../row';

/** containerd's snapshotter for each storage driver that has one of the same kind. */
export const SNAPSHOTTERS: Readonly<Record<string, string>> = {
  overlay2: 'overlayfs',
  overlay: 'overlayfs',
  overlayfs: 'overlayfs',
  'fuse-overlayfs': 'fuse-overlayfs',
  btrfs: 'btrfs',
  zfs: 'zfs',
  native: 'native',
};

/** CRI-O's storage driver for each storage driver that has one of the same kind. */
export const CRIO_DRIVERS: Readonly<Record<string, string>> = {
  overlay2: 'overlay',
  overlay: 'overlay',
  overlayfs: 'overlay',
  'fuse-overlayfs': 'overlay',
  btrfs: 'btrfs',
  zfs: 'zfs',
  vfs: 'vfs',
  native: 'vfs',
};

const ANOTHER_CONTAINERD = dropped('is an address of the Engine and not a setting of the target');

const HAS_NO_DRIVER = byHand(
  'has no counterpart of the same kind',
  'Decide on a snapshotter; overlayfs is the usual one.',
);

/** Settings about where and how the Engine keeps its data. */
export const STORAGE_ROWS: readonly SettingRow[] = [
  rowBy('storage', 'data-root', root),
  rowBy('storage', 'graph', root),
  row('storage', 'exec-root', dropped('is the directory of state on a tmpfs; the target uses its default')),
  rowBy('storage', 'storage-driver', (value) => [
    typeof value === 'string' && SNAPSHOTTERS[value] !== undefined
      ? planned(`becomes the snapshotter ${SNAPSHOTTERS[value]}`)
      : HAS_NO_DRIVER,
    typeof value === 'string' && CRIO_DRIVERS[value] !== undefined
      ? planned(`becomes the storage driver ${CRIO_DRIVERS[value]}`)
      : HAS_NO_DRIVER,
  ]),
  row(
    'storage',
    'storage-opts',
    lost(
      'has no counterpart',
      'A size of the writable layer becomes a limit of ephemeral-storage in the pods. Other options belong to a driver that the target does not have.',
    ),
    lost(
      'has a counterpart that the plan does not write',
      'Compare with storage_option of CRI-O and containers-storage.conf(5). A size of the writable layer becomes a limit of ephemeral-storage in the pods.',
    ),
  ),
  row(
    'storage',
    'live-restore',
    dropped('needs no setting: containers always outlive a restart of the target'),
  ),
  row('storage', 'containerd', ANOTHER_CONTAINERD),
  row(
    'storage',
    'containerd-namespace',
    dropped('names where the Engine keeps its containers; CRI always uses k8s.io'),
    dropped('names where the Engine keeps its containers'),
  ),
  row('storage', 'containerd-plugins-namespace', dropped('concerns plugins of Docker only')),
  row('storage', 'containerd-plugin-namespace', dropped('concerns plugins of Docker only')),
  row(
    'storage',
    'cri-containerd',
    lost(
      'is replaced by containerd as a service of its own',
      'Start containerd as a service of its own instead.',
    ),
    dropped('has no effect'),
  ),
];

function root(_: unknown, { isContainerdShared, containerdRoot }: NodeState): [Outcome, Outcome] {
  const advice =
    'The plan keeps the data of the target on the same file system, in a directory of its own. Check that there is room for both.';
  return [
    isContainerdShared
      ? byHand(
          `has no effect on containerd, which keeps its data in ${containerdRoot}`,
          `Check that ${containerdRoot} has room for all images, writable layers and logs. If not, mount a volume there before the images are carried: Docker and containerd must be stopped for that.`,
        )
      : planned('decides on the root of containerd', advice),
    planned('decides on the root of CRI-O', advice),
  ];
}
