/**
 * kubelet gives `/kubepods/burstable/pod…` for cgroupfs and a path of slices for systemd; the Engine's systemd driver
 * takes the last slice only, whose name holds the others.
 */
export function toEngineCgroupParent(cgroupParent: string, cgroupDriver: string): string {
  if (cgroupDriver !== 'systemd') return cgroupParent;
  return cgroupParent.split('/').findLast((slice) => slice !== '') ?? '';
}
