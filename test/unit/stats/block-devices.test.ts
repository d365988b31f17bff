import { stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import {
  BlockDevices,
  deviceNumber,
  parseDiskstats,
  readFileSystem,
} from '../../../src/stats/metrics/block-devices';

const mockProc = new Map<string, string>();
jest.mock('../../../src/node/disk/files', () => ({
  readText: (path: string) => Promise.resolve(mockProc.get(path)),
}));

const FILE_SYSTEM = { totalBytes: 1, totalInodes: 2, freeInodes: 3 };

describe('block devices', () => {
  beforeEach(() => mockProc.clear());

  it('have names from the disks, and file systems over several disks from the mounts', async () => {
    mockProc.set('/proc/diskstats', '   8       0 sda 1 2 3\n   8       1 sda1 1 2 3\n');
    mockProc.set(
      '/proc/self/mountinfo',
      '25 1 8:1 / / rw - ext4 /dev/root rw\n26 1 0:40 / /pool rw - btrfs /dev/sdb rw\n',
    );
    const devices = await BlockDevices.read();
    expect([devices.pathOf('8', '0'), devices.pathOf('8', '1'), devices.pathOf('0', '40')]).toEqual([
      '/dev/sda',
      '/dev/sda1',
      '0:40',
    ]);
    const named = (dev: number): object => devices.named({ dev, ...FILE_SYSTEM });
    expect(named(0x801)).toEqual({ device: '/dev/sda1', ...FILE_SYSTEM });
    expect(named(40)).toEqual({ device: '/dev/sdb', ...FILE_SYSTEM });
    expect(named(41)).toEqual({ device: '0:41', ...FILE_SYSTEM });
  });

  it('have numbers if nothing can be read', async () => {
    const devices = await BlockDevices.read();
    expect(devices.pathOf('8', '0')).toBe('8:0');
    expect(devices.named({ dev: 0x801, ...FILE_SYSTEM })).toEqual({ device: '8:1', ...FILE_SYSTEM });
  });

  it.each([
    // Bits of major: 8 to 19 and 32 to 63; of minor: 0 to 7 and 20 to 43.
    [0, '0:0'],
    [0xff, '0:255'],
    [0xfff00, '4095:0'],
    [0x100000, '0:256'],
    [2 ** 32 * 0x1000, '4096:0'],
    [2 ** 40 + 2 ** 31, '0:268959744'],
    [2 ** 44 + 0x801, '4104:1'],
  ])('are numbered as in glibc: %d is %s', (dev, number) => expect(deviceNumber(dev)).toBe(number));

  it('are read from the first three words of each line of diskstats', () => {
    expect([...parseDiskstats('259 0 nvme0n1 1\n  x 0 sda\n 8   16 sdb\nno numbers here\n')]).toEqual([
      ['259:0', '/dev/nvme0n1'],
      ['8:16', '/dev/sdb'],
    ]);
  });
});

describe('a file system', () => {
  it('is reported as statfs reports it', async () => {
    const { dev } = await stat(tmpdir());
    const { blocks, bsize, files } = await statfs(tmpdir());
    const { freeInodes, ...rest } = await readFileSystem(tmpdir());
    expect(rest).toEqual({ dev, totalBytes: blocks * bsize, totalInodes: files });
    expect(freeInodes).toBeLessThanOrEqual(files);
  });

  it('causes an error if there is no directory', async () => {
    await expect(readFileSystem('/no/such/directory')).rejects.toThrow('ENOENT');
  });
});
