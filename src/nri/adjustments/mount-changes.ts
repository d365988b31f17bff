import { posix } from 'node:path';
import type { nri } from '../../proto/nri';
import { type Changes, parseKey } from './named';
import { refuse, wrong } from './refuse';

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
export type Propagation = (typeof PROPAGATIONS)[number];

/** A mount that a create call can carry. */
export type MountChange =
  | {
      readonly kind: 'bind';
      readonly source: string;
      readonly target: string;
      readonly isReadOnly: boolean;
      /** With what is mounted below the source. */
      readonly isRecursive: boolean;
      /** Absent: the Engine's default, rprivate. */
      readonly propagation?: Propagation;
      /** Gives the source the container's SELinux label. */
      readonly relabel: boolean;
    }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly options: readonly string[] };

/** The options of a tmpfs that the Engine passes on (github.com/moby/sys/mount). */
const TMPFS_OPTION =
  /^(ro|rw|r?private|r?shared|r?slave|(no)?(exec|suid|dev|atime|diratime)|(rel|strict)atime|a?sync|dirsync|(size|mode|uid|gid|nr_inodes|nr_blocks|mpol)=[^,\0]+)$/;

export function toMounts(mounts: readonly nri.IMount[]): Changes<MountChange[]> {
  const set: MountChange[] = [];
  const removed: string[] = [];
  for (const [index, mount] of mounts.entries()) {
    const { key, isRemoved } = parseKey(mount.destination ?? '');
    if (isRemoved) removed.push(key);
    else set.push(toMount(mount, `mounts[${index}]`));
  }
  return { set, removed };
}

function toMount(mount: nri.IMount, field: string): MountChange {
  const target = absolute(mount.destination ?? '', `${field}.destination`);
  if (posix.join(target, '/') === '/') throw wrong(`${field}.destination`, 'is the root of the container');
  const options = mount.options ?? [];
  const isBind = options.includes('bind') || options.includes('rbind');
  if (mount.type === 'tmpfs' && !isBind)
    return { kind: 'tmpfs', target, options: tmpfsOptions(options, field) };
  if (!isBind && mount.type !== 'bind')
    throw refuse(
      `${field}.type`,
      `Docker Engine makes no mounts of type ${JSON.stringify(mount.type ?? '')}`,
    );
  return toBind(mount, target, field);
}

function toBind(mount: nri.IMount, target: string, field: string): MountChange {
  let isReadOnly = false;
  let isRecursive = true;
  let relabel = false;
  let propagation: Propagation | undefined;
  for (const option of mount.options ?? []) {
    const asPropagation = PROPAGATIONS.find((one) => one === option);
    if (option === 'ro' || option === 'rw') isReadOnly = option === 'ro';
    else if (option === 'bind' || option === 'rbind') isRecursive = option === 'rbind';
    else if (option === 'relabel') relabel = true;
    else if (asPropagation !== undefined) propagation = asPropagation;
    else
      throw refuse(
        `${field}.options`,
        `Docker Engine has no option ${JSON.stringify(option)} for bind mounts`,
      );
  }
  return {
    kind: 'bind',
    source: absolute(mount.source ?? '', `${field}.source`),
    target,
    isReadOnly,
    isRecursive,
    ...(propagation === undefined ? {} : { propagation }),
    relabel,
  };
}

function tmpfsOptions(options: readonly string[], field: string): readonly string[] {
  for (const option of options)
    if (!TMPFS_OPTION.test(option))
      throw refuse(`${field}.options`, `Docker Engine has no option ${JSON.stringify(option)} for a tmpfs`);
  return options;
}

function absolute(path: string, field: string): string {
  if (!path.startsWith('/') || path.includes('\0'))
    throw wrong(field, `${JSON.stringify(path)} is not an absolute path`);
  return path;
}
