import { basename } from 'node:path';
import { parseMountinfo, type Mount } from '../../node/mountinfo';
import { effectsOf, type EffectValue, type Effects } from './effect';

/** File systems that are made for a mount and say what it is for; all others are directories of some disk of the node. */
const SPEAKING: ReadonlySet<string> = new Set([
  ...['proc', 'sysfs', 'tmpfs', 'devpts', 'mqueue', 'cgroup', 'cgroup2', 'devtmpfs', 'bpf', 'debugfs'],
]);
/** How access times are kept follows from the node's own mounts. */
const UNIMPORTANT = /^(relatime|noatime|strictatime|nodiratime)$/;

/**
 * What is mounted where. Paths of /proc and /sys that are hidden or read-only are sets of their own, because they are lists in
 * CRI as well; so are the controllers of cgroup v1, each of which is a mount.
 * @param scratch name of the directory in which the sources of the scenario's mounts are.
 */
export function mountEffects(mountinfo: string, scratch: string): Effects {
  const mounts: [string, EffectValue][] = [];
  const masked: string[] = [];
  const readOnly: string[] = [];
  const controllers: string[] = [];
  // Where two are mounted at one place, the later one is seen.
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

/** A file is hidden by /dev/null over it, a directory by an empty tmpfs. */
function isMask({ mountPoint, type, root, options }: Mount): boolean {
  if (!/^\/(proc|sys)\//.test(mountPoint)) return false;
  if (root.endsWith('/null')) return true;
  return type === 'tmpfs' && root === '/' && options.split(',').includes('ro') && !isCgroup(mountPoint);
}

/** A path of /proc or /sys that is mounted over itself. */
function isReadOnlyPart({ mountPoint, type, options }: Mount): boolean {
  return (
    ['proc', 'sysfs'].includes(type) &&
    /^\/(proc|sys)\/./.test(mountPoint) &&
    options.split(',').includes('ro')
  );
}

/** A tree of cgroup v1 begins with a tmpfs. */
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

/** Size and mode of a tmpfs; one without a size may take half of the node's memory. */
function sizes(superOptions: string): string {
  return superOptions
    .split(',')
    .filter((option) => /^(size|mode)=/.test(option))
    .sort()
    .join(' ');
}
