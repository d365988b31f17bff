import { posix } from 'node:path';
import { MountPropagation } from '../../proto/enums';
import type { MountRecord } from '../../store/records';
import type {
  EngineContainerInspect,
  EngineHostConfig,
  EngineMount,
  EngineMountPoint,
} from '../../engine/types';

/** `z` asks for a label that several containers share, `Z` for one of this container alone. */
const RELABEL = ['z', 'Z'];

/**
 * The mounts of containers without our label. cri-dockerd's master branch uses `Mounts`, its releases up to 0.4.3 and dockershim
 * use `Binds`; kubelet finds the termination message by them. The requested mounts come first, in their order. Their
 * sources are those that the Engine reports, which also knows the volumes of an image.
 */
export function fromEngineMounts({
  HostConfig: host,
  Mounts: points,
}: Pick<EngineContainerInspect, 'HostConfig' | 'Mounts'>): MountRecord[] {
  const unasked = new Map((points ?? []).map((point) => [clean(point.Destination), point]));
  const found = askedFor(host).map((mount) => {
    const point = unasked.get(mount.containerPath);
    unasked.delete(mount.containerPath);
    return point === undefined ? mount : { ...mount, hostPath: point.Source ?? '', readonly: !point.RW };
  });
  const rest = [...unasked.values()].map(fromMountPoint);
  // The Engine lists these in a different order each time.
  return [...found, ...rest.sort((a, b) => (a.containerPath < b.containerPath ? -1 : 1))];
}

function askedFor({ Binds, Mounts, Tmpfs }: EngineHostConfig): MountRecord[] {
  return [
    ...(Binds ?? []).map(fromBind),
    ...(Mounts ?? []).map(fromMount),
    ...Object.entries(Tmpfs ?? {}).map(([path, options]) => plainMount('', path, options)),
  ];
}

/** Parses `SOURCE:TARGET:OPTIONS`. A source that is not a path is a volume's name; without a source it is a nameless volume. */
function fromBind(bind: string): MountRecord {
  const [first = '', second, options] = bind.split(':');
  if (second === undefined) return plainMount('', first, '');
  return second.startsWith('/') ? plainMount(first, second, options ?? '') : plainMount('', first, second);
}

function fromMount(mount: EngineMount): MountRecord {
  return {
    ...plainMount(mount.Source ?? '', mount.Target, ''),
    readonly: mount.ReadOnly ?? false,
    propagation: fromPropagation(mount.BindOptions?.Propagation),
    recursiveReadOnly: mount.BindOptions?.ReadOnlyForceRecursive ?? false,
  };
}

function fromMountPoint({ Source, Destination, Mode, RW }: EngineMountPoint): MountRecord {
  return { ...plainMount(Source ?? '', Destination, Mode ?? ''), hostPath: Source ?? '', readonly: !RW };
}

/** @param options comma-separated; other options are ignored. */
function plainMount(source: string, target: string, options: string): MountRecord {
  const given = options.split(',');
  return {
    containerPath: clean(target),
    hostPath: source.startsWith('/') ? clean(source) : '',
    readonly: given.includes('ro'),
    selinuxRelabel: RELABEL.some((option) => given.includes(option)),
    propagation: fromPropagation(given.find((option) => /shared$|slave$/.test(option))),
    recursiveReadOnly: false,
  };
}

function fromPropagation(propagation: string | undefined): MountPropagation {
  const kind = propagation?.replace(/^r/, '');
  if (kind === 'shared') return MountPropagation.PROPAGATION_BIDIRECTIONAL;
  return kind === 'slave'
    ? MountPropagation.PROPAGATION_HOST_TO_CONTAINER
    : MountPropagation.PROPAGATION_PRIVATE;
}

/** Normalizes a path as the Engine does. */
function clean(path: string): string {
  return path === '' ? '' : posix.join('/', path).replace(/(?<=.)\/$/, '');
}
