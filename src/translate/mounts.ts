import { invalidArgument, unsupported } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import { MountPropagation } from '../proto/enums';
import type { MountRecord } from '../store/records';
import type { EngineHostConfig, EngineMount } from './engine';
import { absolutePath, oneOf, withoutNul } from './validate';

const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;

/** CRI mounts → records, or an error for what cannot be honoured. */
export function toMountRecords(mounts: readonly Decoded<cri.IMount>[], field: string): MountRecord[] {
  return mounts.map((mount, index) => toMountRecord(mount, `${field}[${index}]`));
}

function toMountRecord(mount: Decoded<cri.IMount>, field: string): MountRecord {
  absolutePath(mount.container_path, `${field}.container_path`);
  if (mount.image !== null && mount.image.image !== '') {
    throw unsupported(`${field}.image`, 'image volumes are not offered yet');
  }
  if (mount.image_sub_path !== '')
    throw invalidArgument(`${field}.image_sub_path`, 'is only for image mounts');
  absolutePath(withoutNul(mount.host_path, `${field}.host_path`), `${field}.host_path`);
  oneOf(
    mount.propagation,
    [PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL],
    `${field}.propagation`,
    'PRIVATE, HOST_TO_CONTAINER or BIDIRECTIONAL',
  );
  if (mount.recursive_read_only) refuseRecursiveReadOnly(mount, field);
  for (const mappings of ['uidMappings', 'gidMappings'] as const) {
    if (mount[mappings].length > 0)
      throw unsupported(`${field}.${mappings}`, 'Docker Engine has no ID-mapped mounts');
  }
  if (mount.mount_options.length > 0) throw unsupported(`${field}.mount_options`, 'Docker Engine takes none');
  return {
    containerPath: mount.container_path,
    hostPath: mount.host_path,
    readonly: mount.readonly,
    selinuxRelabel: mount.selinux_relabel,
    propagation: mount.propagation,
    recursiveReadOnly: false,
  };
}

/** The CRI's own rules first, so that a wrong request is not mistaken for a missing feature. */
function refuseRecursiveReadOnly(mount: Decoded<cri.IMount>, field: string): never {
  if (!mount.readonly) throw invalidArgument(`${field}.recursive_read_only`, 'needs readonly');
  if (mount.propagation !== PROPAGATION_PRIVATE) {
    throw invalidArgument(`${field}.recursive_read_only`, 'needs propagation PRIVATE');
  }
  throw unsupported(`${field}.recursive_read_only`, 'not offered yet (Status says so)');
}

export function toEngineMounts(mounts: readonly MountRecord[]): EngineMount[] {
  return mounts.map((mount) => ({
    Type: 'bind',
    Source: mount.hostPath,
    Target: mount.containerPath,
    ReadOnly: mount.readonly,
    BindOptions: {
      // Unset for PRIVATE: the Engine itself picks rslave where a source holds its data root and refuses rprivate.
      ...(mount.propagation === PROPAGATION_HOST_TO_CONTAINER ? { Propagation: 'rslave' as const } : {}),
      ...(mount.propagation === PROPAGATION_BIDIRECTIONAL ? { Propagation: 'rshared' as const } : {}),
      // Engines from 25 on would make a read-only bind recursive, which CRI asks for by recursive_read_only only.
      ...(mount.readonly ? { ReadOnlyNonRecursive: true } : {}),
    },
  }));
}

/** For containers that carry no label of ours. */
export function fromEngineMounts(host: EngineHostConfig): MountRecord[] {
  return (host.Mounts ?? []).map((mount) => ({
    containerPath: mount.Target,
    hostPath: mount.Source,
    readonly: mount.ReadOnly ?? false,
    selinuxRelabel: false,
    propagation: fromEnginePropagation(mount.BindOptions?.Propagation),
    recursiveReadOnly: false,
  }));
}

function fromEnginePropagation(propagation: string | undefined): MountPropagation {
  if (propagation === 'rshared') return PROPAGATION_BIDIRECTIONAL;
  return propagation === 'rslave' ? PROPAGATION_HOST_TO_CONTAINER : PROPAGATION_PRIVATE;
}

export function toCriMount(mount: MountRecord): cri.IMount {
  return {
    container_path: mount.containerPath,
    host_path: mount.hostPath,
    readonly: mount.readonly,
    selinux_relabel: mount.selinuxRelabel,
    propagation: mount.propagation,
    recursive_read_only: mount.recursiveReadOnly,
  };
}
