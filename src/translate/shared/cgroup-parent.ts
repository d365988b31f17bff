import { invalidArgument } from '../../lib/errors';
import { withoutNul } from './validate';

/** The kernel's limits of a path and of a name in it. */
const MAX_PATH = 4095;
const MAX_NAME = 255;

/** @throws INVALID_ARGUMENT for a path that no file system accepts. */
export function checkCgroupParent(cgroupParent: string, field: string): string {
  withoutNul(cgroupParent, field);
  if (Buffer.byteLength(cgroupParent) > MAX_PATH)
    throw invalidArgument(field, `is longer than ${MAX_PATH} bytes`);
  for (const name of cgroupParent.split('/')) {
    if (Buffer.byteLength(name) > MAX_NAME)
      throw invalidArgument(field, `a name in it is longer than ${MAX_NAME} bytes`);
    // Together with a container's id it would lead to another cgroup than the named one.
    if (name === '..') throw invalidArgument(field, `${JSON.stringify(cgroupParent)} leads upwards`);
  }
  return cgroupParent;
}

/**
 * kubelet gives `/kubepods/burstable/pod…` for cgroupfs and a path of slices for systemd; the Engine's systemd driver
 * takes the last slice only, whose name holds the others.
 * @throws INVALID_ARGUMENT if the systemd driver needs a slice and this is none: kubelet is configured with another driver.
 */
export function toEngineCgroupParent(cgroupParent: string, cgroupDriver: string, field: string): string {
  if (cgroupDriver !== 'systemd') return cgroupParent;
  const last = cgroupParent.split('/').findLast((slice) => slice !== '') ?? '';
  if (last !== '' && !/^[\w:.\\@-]+\.slice$/.test(last)) {
    throw invalidArgument(
      field,
      `${JSON.stringify(last.slice(0, 100))} is not a slice (NAME.slice), which the Engine's cgroup driver systemd needs`,
    );
  }
  return last;
}
