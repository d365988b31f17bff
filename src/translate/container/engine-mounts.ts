import { invalidArgument, RuntimeError, unsupported } from '../../lib/errors';
import { MountPropagation } from '../../proto/enums';
import type { MountImageRecord, MountRecord } from '../../store/records';
import type { EngineHostConfig, EngineMount } from '../../engine/types';
import type { EngineFeatures } from '../shared/engine-facts';

const { PROPAGATION_HOST_TO_CONTAINER, PROPAGATION_BIDIRECTIONAL } = MountPropagation;

type Propagation = NonNullable<NonNullable<EngineMount['BindOptions']>['Propagation']>;

/** Hexadecimal digits of an image id that are sure to name one image only. */
const MIN_ID_DIGITS = 32;

/**
 * Mount records → HostConfig.
 * @param selinux whether the Engine enforces SELinux: only then has a wish to relabel a meaning.
 * @throws UNIMPLEMENTED for what this Engine or its runtime cannot do; kubelet knows the first word of the message.
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
      // Engines from 25 on would make a read-only bind recursive, which CRI asks for by recursive_read_only only.
      ...(mount.readonly && !mount.recursiveReadOnly ? { ReadOnlyNonRecursive: true } : {}),
    },
  };
}

/** Unset for PRIVATE: the Engine itself picks rslave where a source holds its data root and refuses rprivate. */
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
      `needs Docker Engine 25.0, Linux 5.12 and a runtime that says it can (Engine here: ${features.version})`,
    ),
  );
}

/**
 * Only a bind in the old form can be relabelled (`Z`: with the label of the pod, as containerd and dockershim do). Engines
 * from 25 on make it recursively read-only where it is read-only: more than asked for, never less.
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
 * @param before how many mounts of the same image the container has already. The Engine calls an image mount by
 * container and source, and refuses a second of the same name: each gets a shorter form of the id.
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
    throw unsupported(`${field}.image`, `more than ${before} mounts of one image in a container`);
  }
  return {
    Type: 'image',
    Source: source,
    Target: mount.containerPath,
    ReadOnly: true,
    ...(image.subPath === '' ? {} : { ImageOptions: { Subpath: image.subPath } }),
  };
}

/** kubelet looks for these words at the start of a message. */
function prefixed(word: 'RROUnsupported' | 'ImageVolumeMountFailed', error: RuntimeError): RuntimeError {
  return new RuntimeError(error.code, `${word}: ${error.message}`);
}
