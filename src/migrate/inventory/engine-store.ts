import type { MigrationEngineInfo } from '../facts';

/** Whether the Engine keeps images in containerd instead of in its own store. */
export function isContainerdStore({ DriverStatus }: Pick<MigrationEngineInfo, 'DriverStatus'>): boolean {
  return (DriverStatus ?? []).some(
    ([name, value]) => name === 'driver-type' && value === 'io.containerd.snapshotter.v1',
  );
}
