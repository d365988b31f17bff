import type { UnsetKernelSettings } from '../kernel-settings';
import { targetFile, type PlannedFile } from './node-file';

/** Writes the files that make the kernel's settings at each boot, as dockerd did at each of its starts. */
export function kernelFiles({ sysctls, modules }: UnsetKernelSettings, origin: string): PlannedFile[] {
  const file = (path: string, lines: readonly string[]): PlannedFile[] =>
    lines.length === 0 ? [] : [targetFile(path, origin, lines.map((line) => `${line}\n`).join(''))];
  return [
    ...file(
      '/etc/sysctl.d/90-from-docker.conf',
      sysctls.map((name) => `${name} = 1`),
    ),
    ...file('/etc/modules-load.d/from-docker.conf', modules),
  ];
}
