import { posix } from 'node:path';
import { invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { MountPropagation } from '../../proto/enums';
import type { MountImageRecord, MountRecord } from '../../store/records';
import { absolutePath, nonEmpty, oneOf, withoutNul } from '../shared/validate';

const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;

/** CRI mounts → records, or an error for what breaks the CRI's rules or no Engine can do. */
export function toMountRecords(mounts: readonly Decoded<cri.IMount>[], field: string): MountRecord[] {
  const records = mounts.map((mount, index) => toMountRecord(mount, `${field}[${index}]`));
  const firstOf = new Map<string, number>();
  records.forEach(({ containerPath }, index) => {
    const at = `${field}[${index}].container_path`;
    const target = posix.join('/', containerPath, '/');
    if (target === '/') throw invalidArgument(at, `"${containerPath}" is the root of the container`);
    const first = firstOf.get(target);
    if (first !== undefined)
      throw invalidArgument(at, `"${containerPath}" is the target of ${field}[${first}] already`);
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
  if (mount.mount_options.length > 0) throw unsupported(`${field}.mount_options`, 'Docker Engine takes none');
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
 * An image mount has no host path, is never writable, and nothing is mounted below it that could propagate. Elsewhere
 * image_sub_path says nothing: in a pod with an image volume kubelet gives it to every mount that has a subPath, which
 * host_path holds already.
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
    throw invalidArgument(field, `${JSON.stringify(path)} is no path inside the image`);
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
