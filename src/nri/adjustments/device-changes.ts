import type { nri } from '../../proto/nri';
import { type Changes, parseKey } from './named';
import { refuse, toSafeInteger, wrong } from './refuse';

/** A device node. The Engine wants a node of the host with these numbers, which the caller has to find or make. */
export interface DeviceChange {
  /** Inside the container. */
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  /** The permission bits of the node; absent if the plugin leaves them open. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** What the container may do with the device: NRI's rule, with `m` for block devices only. */
  readonly access: 'rw' | 'rwm';
}

export function toDevices(devices: readonly nri.ILinuxDevice[]): Changes<DeviceChange[]> {
  const set: DeviceChange[] = [];
  const removed: string[] = [];
  for (const [index, device] of devices.entries()) {
    const { key, isRemoved } = parseKey(device.path ?? '');
    if (isRemoved) removed.push(key);
    else set.push(toDevice(device, `linux.devices[${index}]`));
  }
  return { set, removed };
}

function toDevice(device: nri.ILinuxDevice, field: string): DeviceChange {
  const path = device.path ?? '';
  if (!path.startsWith('/') || path.includes('\0'))
    throw wrong(`${field}.path`, `${JSON.stringify(path)} is not an absolute path`);
  const type = device.type === 'u' ? 'c' : device.type;
  if (type !== 'b' && type !== 'c')
    throw refuse(
      `${field}.type`,
      `${JSON.stringify(device.type ?? '')} is neither a character nor a block device`,
    );
  const [mode, uid, gid] = [device.file_mode?.value, device.uid?.value, device.gid?.value];
  return {
    path,
    type,
    major: toSafeInteger(device.major ?? 0, `${field}.major`),
    minor: toSafeInteger(device.minor ?? 0, `${field}.minor`),
    ...(mode == null ? {} : { mode: mode & 0o7777 }),
    ...(uid == null ? {} : { uid }),
    ...(gid == null ? {} : { gid }),
    access: type === 'b' ? 'rwm' : 'rw',
  };
}

/** Translates rules that allow devices. A missing number means all numbers. */
export function toDeviceRules(rules: readonly nri.ILinuxDeviceCgroup[]): string[] {
  return rules.map((rule, index) => {
    const field = `linux.resources.devices[${index}]`;
    if (rule.allow !== true)
      throw refuse(`${field}.allow`, 'Docker Engine has only rules that allow devices');
    const type = rule.type === '' || rule.type == null ? 'a' : rule.type;
    if (!/^[abc]$/.test(type)) throw wrong(`${field}.type`, `${JSON.stringify(type)} is not a, b or c`);
    const access = rule.access ?? '';
    if (!/^[rwm]{1,3}$/.test(access))
      throw wrong(`${field}.access`, `${JSON.stringify(access)} is not made of r, w and m`);
    const number = (value: nri.IOptionalInt64 | null | undefined, part: string): string => {
      const one = value?.value == null ? -1 : toSafeInteger(value.value, `${field}.${part}`);
      return one < 0 ? '*' : String(one);
    };
    return `${type} ${number(rule.major, 'major')}:${number(rule.minor, 'minor')} ${access}`;
  });
}
