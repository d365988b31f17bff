import { posix } from 'node:path';
import type {
  EngineContainerInspect,
  EngineHostConfig,
  EngineMount,
  EngineMountPoint,
} from '../../engine/types';
import { invalidArgument, RuntimeError, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { MountPropagation } from '../../proto/enums';
import type { MountImageRecord, MountRecord } from '../../store/records';
import type { EngineFeatures } from '../shared/engine-facts';
import { absolutePath, nonEmpty, oneOf, withoutNul } from '../shared/validate';

const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;

/**
 * Converts CRI's mounts to records.
 * @throws for mounts that break CRI's rules or that no Engine supports.
 */
export function toMountRecords(mounts: readonly Decoded<cri.IMount>[], field: string): MountRecord[] {
  const records = mounts.map((mount, index) => toMountRecord(mount, `${field}[${index}]`));
  const firstOf = new Map<string, number>();
  records.forEach(({ containerPath }, index) => {
    const at = `${field}[${index}].container_path`;
    const target = posix.join('/', containerPath, '/');
    if (target === '/') throw invalidArgument(at, `"${containerPath}" is the root of the container`);
    const first = firstOf.get(target);
    if (first !== undefined)
      throw invalidArgument(at, `"${containerPath}" is already the target of ${field}[${first}]`);
    firstOf.set(target, index);
  });
  return records;
}

function toMountRecord(mount: Decoded<cri.IMount>, field: string): MountRecord {
  absolutePath(withoutNul(mount.container_path, `${field}.container_path`), `${field}.container_path`);
  oneOf(
    mount.propagation,
    [PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL],
    `${field}.propagation`,
    'PRIVATE, HOST_TO_CONTAINER or BIDIRECTIONAL',
  );
  if (mount.recursive_read_only) checkRecursiveReadOnly(mount, field);
  for (const mappings of ['uidMappings', 'gidMappings'] as const) {
    if (mount[mappings].length > 0)
      throw unsupported(`${field}.${mappings}`, 'Docker Engine has no ID-mapped mounts');
  }
  if (mount.mount_options.length > 0)
    throw unsupported(`${field}.mount_options`, 'Docker Engine does not support mount options');
  const image = toMountImage(mount, field);
  if (image === undefined)
    absolutePath(withoutNul(mount.host_path, `${field}.host_path`), `${field}.host_path`);
  return {
    containerPath: mount.container_path,
    hostPath: mount.host_path,
    readonly: mount.readonly,
    selinuxRelabel: mount.selinux_relabel,
    propagation: mount.propagation,
    recursiveReadOnly: mount.recursive_read_only,
    ...(image === undefined ? {} : { image }),
  };
}

function checkRecursiveReadOnly(mount: Decoded<cri.IMount>, field: string): void {
  if (!mount.readonly) throw invalidArgument(`${field}.recursive_read_only`, 'needs readonly');
  if (mount.propagation !== PROPAGATION_PRIVATE) {
    throw invalidArgument(`${field}.recursive_read_only`, 'needs propagation PRIVATE');
  }
}

/**
 * Reads an image mount. It has no host path, is never writable, and contains no mounts that could propagate. In other
 * mounts, image_sub_path has no effect: kubelet sets it for every mount with a subPath in a pod that has an image volume,
 * and the host_path of these mounts already contains the subPath.
 */
function toMountImage(mount: Decoded<cri.IMount>, field: string): MountImageRecord | undefined {
  if (mount.image === null || mount.image.image === '') return undefined;
  if (mount.host_path !== '') throw invalidArgument(`${field}.host_path`, 'must be empty in an image mount');
  if (!mount.readonly) throw invalidArgument(`${field}.readonly`, 'must be true in an image mount');
  if (mount.propagation !== PROPAGATION_PRIVATE) {
    throw invalidArgument(`${field}.propagation`, 'must be PRIVATE in an image mount');
  }
  return {
    image: nonEmpty(mount.image.image, `${field}.image.image`),
    userSpecified: mount.image.user_specified_image,
    annotations: mount.image.annotations,
    subPath: imageSubPath(mount.image_sub_path, `${field}.image_sub_path`),
    id: '',
  };
}

function imageSubPath(path: string, field: string): string {
  withoutNul(path, field);
  if (path.startsWith('/') || path.split('/').includes('..')) {
    throw invalidArgument(field, `${JSON.stringify(path)} is not a path inside the image`);
  }
  return path;
}

export function toCriMount(mount: MountRecord): cri.IMount {
  const { image } = mount;
  return {
    container_path: mount.containerPath,
    host_path: mount.hostPath,
    readonly: mount.readonly,
    selinux_relabel: mount.selinuxRelabel,
    propagation: mount.propagation,
    recursive_read_only: mount.recursiveReadOnly,
    ...(image === undefined
      ? {}
      : {
          image: {
            image: image.image,
            user_specified_image: image.userSpecified,
            annotations: image.annotations,
            image_ref: image.id,
          },
          image_sub_path: image.subPath,
        }),
  };
}

type Propagation = NonNullable<NonNullable<EngineMount['BindOptions']>['Propagation']>;

/** This many hexadecimal digits of an image id certainly identify one image. */
const MIN_ID_DIGITS = 32;

/**
 * Converts mount records to the Engine's mounts.
 * @param selinux whether the Engine enforces SELinux. Otherwise relabelling has no effect.
 * @throws UNIMPLEMENTED for a mount that this Engine or its runtime cannot make. The message begins with the word that
 * kubelet expects.
 */
export function toEngineMounts(
  records: readonly MountRecord[],
  features: EngineFeatures,
  selinux: boolean,
  field: string,
): Pick<EngineHostConfig, 'Mounts' | 'Binds'> {
  const mounts: EngineMount[] = [];
  const binds: string[] = [];
  const sources = new Map<string, number>();
  for (const [index, record] of records.entries()) {
    const at = `${field}[${index}]`;
    if (record.image !== undefined) {
      const before = sources.get(record.image.id) ?? 0;
      sources.set(record.image.id, before + 1);
      mounts.push(imageMount(record, record.image, before, features, at));
    } else if (selinux && record.selinuxRelabel) binds.push(relabelledBind(record, features, at));
    else mounts.push(bindMount(record, features, at));
  }
  return { Mounts: mounts, ...(binds.length === 0 ? {} : { Binds: binds }) };
}

function bindMount(mount: MountRecord, features: EngineFeatures, field: string): EngineMount {
  if (mount.recursiveReadOnly) demandRecursiveReadOnly(features, field);
  const propagation = enginePropagation(mount);
  return {
    Type: 'bind',
    Source: mount.hostPath,
    Target: mount.containerPath,
    ReadOnly: mount.readonly,
    BindOptions: {
      ...(propagation === undefined ? {} : { Propagation: propagation }),
      ...(mount.recursiveReadOnly ? { ReadOnlyForceRecursive: true } : {}),
      // Engines from 25 on make a read-only bind recursive, but CRI requests this only with recursive_read_only.
      ...(mount.readonly && !mount.recursiveReadOnly ? { ReadOnlyNonRecursive: true } : {}),
    },
  };
}

/**
 * Returns the Engine's propagation. It is undefined for PRIVATE, so that the Engine chooses. The Engine refuses rprivate
 * for a source that contains its data root, and uses rslave for such a source.
 */
function enginePropagation(mount: MountRecord): Propagation | undefined {
  if (mount.recursiveReadOnly) return 'rprivate';
  if (mount.propagation === PROPAGATION_HOST_TO_CONTAINER) return 'rslave';
  return mount.propagation === PROPAGATION_BIDIRECTIONAL ? 'rshared' : undefined;
}

function demandRecursiveReadOnly(features: EngineFeatures, field: string): void {
  if (features.recursiveReadOnly) return;
  throw prefixed(
    'RROUnsupported',
    unsupported(
      `${field}.recursive_read_only`,
      `needs Docker Engine 25.0, Linux 5.12 and a runtime that reports support for it (this Engine is ${features.version})`,
    ),
  );
}

/**
 * Returns a bind in the Engine's old form, because the Engine can relabel only such binds. `Z` gives the source the label
 * of the pod, as in containerd and dockershim. Engines from 25 on make a read-only bind in this form recursively
 * read-only, which is more than was requested.
 */
function relabelledBind(mount: MountRecord, features: EngineFeatures, field: string): string {
  if (mount.recursiveReadOnly) demandRecursiveReadOnly(features, field);
  for (const path of [mount.hostPath, mount.containerPath]) {
    if (path.includes(':')) {
      throw invalidArgument(
        `${field}.selinux_relabel`,
        `Docker Engine cannot relabel a path with a colon: ${JSON.stringify(path)}`,
      );
    }
  }
  const propagation = enginePropagation({ ...mount, recursiveReadOnly: false });
  const options = [mount.readonly ? 'ro' : 'rw', 'Z', ...(propagation === undefined ? [] : [propagation])];
  return [mount.hostPath, mount.containerPath, options.join(',')].join(':');
}

/**
 * Converts an image mount.
 * @param before the number of earlier mounts of the same image in the container. The Engine derives the name of an image mount
 * from the container and the source, and refuses a second mount with the same name. Each further mount therefore gets a shorter
 * id.
 */
function imageMount(
  mount: MountRecord,
  image: MountImageRecord,
  before: number,
  features: EngineFeatures,
  field: string,
): EngineMount {
  if (!features.imageMounts) {
    throw prefixed(
      'ImageVolumeMountFailed',
      unsupported(`${field}.image`, `needs Docker Engine 28.0 or newer (this is ${features.version})`),
    );
  }
  const digits = image.id.replace(/^sha256:/, '');
  const source = before === 0 ? image.id : digits.slice(0, digits.length + 1 - before);
  if (source.length < MIN_ID_DIGITS) {
    throw unsupported(`${field}.image`, `a container cannot have more than ${before} mounts of one image`);
  }
  return {
    Type: 'image',
    Source: source,
    Target: mount.containerPath,
    ReadOnly: true,
    ...(image.subPath === '' ? {} : { ImageOptions: { Subpath: image.subPath } }),
  };
}

/** Puts a word in front of the message. kubelet expects this word there. */
function prefixed(word: 'RROUnsupported' | 'ImageVolumeMountFailed', error: RuntimeError): RuntimeError {
  return new RuntimeError(error.code, `${word}: ${error.message}`);
}

/** `z` requests a label that several containers share, `Z` a label for this container alone. */
const RELABEL = ['z', 'Z'];

/**
 * Returns the mounts of a container without dockbridge's label. cri-dockerd's master branch uses `Mounts`, while its
 * releases up to 0.4.3 and dockershim use `Binds`. kubelet finds the termination message by these mounts. The requested
 * mounts come first, in their order, with the sources that the Engine reports. Other mounts follow, such as the volumes of
 * an image.
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
  // The other mounts are sorted, because the Engine lists them in a different order each time.
  return [...found, ...rest.sort((a, b) => (a.containerPath < b.containerPath ? -1 : 1))];
}

function askedFor({ Binds, Mounts, Tmpfs }: EngineHostConfig): MountRecord[] {
  return [
    ...(Binds ?? []).map(fromBind),
    ...(Mounts ?? []).map(fromMount),
    ...Object.entries(Tmpfs ?? {}).map(([path, options]) => plainMount('', path, options)),
  ];
}

/**
 * Parses `SOURCE:TARGET:OPTIONS`. A source that is not a path is a volume's name. Without a source, the mount is a volume
 * without a name.
 */
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

/** @param options separated by commas. Unknown options are ignored. */
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
