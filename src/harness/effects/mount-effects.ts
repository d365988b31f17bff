import { basename } from 'node:path';
import { parseMountinfo, type Mount } from '../../node/mountinfo';
import { effectsOf, type EffectValue, type Effects } from './effect';

/** File systems whose type says what a mount is for. All other types are shown as `bind`, because they depend on the node's disks. */
const SPEAKING: ReadonlySet<string> = new Set([
  ...['proc', 'sysfs', 'tmpfs', 'devpts', 'mqueue', 'cgroup', 'cgroup2', 'devtmpfs', 'bpf', 'debugfs'],
]);
/** Options for access times, which depend on the node's own mounts. */
const UNIMPORTANT = /^(relatime|noatime|strictatime|nodiratime)$/;

/**
 * Returns the mounts of a container. Masked and read-only paths of /proc and /sys are two sets, because they are lists in CRI too. The
 * controllers of cgroup v1, each of which is a mount, are another set.
 * @param scratch the name of the directory with the sources of the scenario's mounts.
 */
export function mountEffects(mountinfo: string, scratch: string): Effects {
  const mounts: [string, EffectValue][] = [];
  const masked: string[] = [];
  const readOnly: string[] = [];
  const controllers: string[] = [];
  // If two mounts have the same path, the later one hides the earlier one.
  const seen = new Map(parseMountinfo(mountinfo).map((mount) => [mount.mountPoint, mount]));
  for (const mount of seen.values()) {
    const { mountPoint } = mount;
    if (isMask(mount)) masked.push(mountPoint);
    else if (isReadOnlyPart(mount)) readOnly.push(mountPoint);
    else if (mount.type === 'cgroup')
      controllers.push(`${basename(mountPoint)}: ${described(mount, scratch)}`);
    else mounts.push([`mount ${mountPoint}`, described(mount, scratch)]);
  }
  return effectsOf([
    ...mounts,
    ['controllers', controllers],
    ['masked paths', masked],
    ['read-only paths', readOnly],
  ]);
}

/** Returns whether a mount masks a path: a file by /dev/null, or a directory by an empty read-only tmpfs. */
function isMask({ mountPoint, type, root, options }: Mount): boolean {
  if (!/^\/(proc|sys)\//.test(mountPoint)) return false;
  if (root.endsWith('/null')) return true;
  return type === 'tmpfs' && root === '/' && options.split(',').includes('ro') && !isCgroup(mountPoint);
}

/** Returns whether a mount makes a path below /proc or /sys read-only. Runtimes mount the path over itself for this. */
function isReadOnlyPart({ mountPoint, type, options }: Mount): boolean {
  return (
    ['proc', 'sysfs'].includes(type) &&
    /^\/(proc|sys)\/./.test(mountPoint) &&
    options.split(',').includes('ro')
  );
}

/** Returns whether the mount is the tmpfs at the root of a cgroup v1 tree, which masks nothing. */
function isCgroup(mountPoint: string): boolean {
  return mountPoint === '/sys/fs/cgroup';
}

function described(mount: Mount, scratch: string): string {
  const { mountPoint, type, root, options, isShared, isSlave, superOptions } = mount;
  const named = options.split(',').filter((option) => !UNIMPORTANT.test(option));
  const at = root.indexOf(`/${scratch}/`);
  const isBind = at !== -1 || (!SPEAKING.has(type) && mountPoint !== '/');
  return [
    isBind ? 'bind' : type,
    named.sort().join(','),
    ...(type === 'tmpfs' && !isBind ? [sizes(superOptions)] : []),
    ...(at === -1 ? [] : [`of ${root.slice(at + scratch.length + 2)}`]),
    ...(isShared ? ['shared'] : []),
    ...(isSlave ? ['slave'] : []),
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** Returns the size and the mode of a tmpfs. */
function sizes(superOptions: string): string {
  return superOptions
    .split(',')
    .filter((option) => /^(size|mode)=/.test(option))
    .sort()
    .join(' ');
}
