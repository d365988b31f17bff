import { posix } from 'node:path';
import { MountPropagation } from '../../proto/enums';
import type { MountRecord } from '../../store/records';
import type {
  EngineContainerInspect,
  EngineHostConfig,
  EngineMount,
  EngineMountPoint,
} from '../../engine/types';

/** What `z` and `Z` ask for: a label that several containers share, or this one's own. */
const RELABEL = ['z', 'Z'];

/**
 * The mounts of containers that carry no label of ours. cri-dockerd's master branch asks for `Mounts`, its releases up to
 * 0.4.3 and dockershim for `Binds`; kubelet finds the termination message by them. What was asked for comes first and in
 * that order; where it led is what the Engine says, which also knows the volumes that an image brings.
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
  // The Engine gives these in another order each time.
  return [...found, ...rest.sort((a, b) => (a.containerPath < b.containerPath ? -1 : 1))];
}

function askedFor({ Binds, Mounts, Tmpfs }: EngineHostConfig): MountRecord[] {
  return [
    ...(Binds ?? []).map(fromBind),
    ...(Mounts ?? []).map(fromMount),
    ...Object.entries(Tmpfs ?? {}).map(([path, options]) => plainMount('', path, options)),
  ];
}

/** `SOURCE:TARGET:OPTIONS`, where a source that is no path is a volume's name, or without a source a nameless volume. */
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

/** @param options comma-separated; an option that says nothing of these is the Engine's own affair. */
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

/** As the Engine writes paths that it is given. */
function clean(path: string): string {
  return path === '' ? '' : posix.join('/', path).replace(/(?<=.)\/$/, '');
}
