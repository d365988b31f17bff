import { dataParent } from '../../../src/migrate/data-place';
import type { DiskFacts } from '../../../src/migrate/facts';

const disk = (path: string, device: number, isMountPoint = false): DiskFacts => ({
  ...{ path, existing: path, device, isMountPoint },
  ...{ sizeBytes: 1, freeBytes: 1 },
});
const usual = disk('/var/lib/containerd', 1);

describe('dataParent', () => {
  it("is empty when the data-root is Docker's default, so that the target keeps its own default", () => {
    expect(dataParent('', [])).toBe('');
    expect(dataParent('/var/lib/docker/', [disk('/var/lib/docker', 2, true), usual])).toBe('');
  });

  it('is the parent of the data-root', () => {
    expect(dataParent('/data/docker', [disk('/data/docker', 2), usual])).toBe('/data');
    expect(dataParent('/data/docker', [])).toBe('/data');
  });

  it('is below a data-root that is a mount point, because its parent is on another file system', () => {
    expect(dataParent('/mnt/disk1', [disk('/mnt/disk1', 2, true), usual])).toBe('/mnt/disk1/cri');
  });

  it('is never the root directory', () => {
    expect(dataParent('/data', [disk('/data', 1), usual])).toBe('');
    expect(dataParent('/data', [])).toBe('');
    expect(dataParent('/data', [disk('/data', 2), usual])).toBe('/data/cri');
  });
});
