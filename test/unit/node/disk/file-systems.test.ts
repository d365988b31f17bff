import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskLooks } from '../../../../src/node/disk/disk-looks';
import { findImageDirectory, UsedInodes } from '../../../../src/node/disk/file-systems';
import { gate } from '../../support/async';

const PRIVATE = 'docker/containerd/daemon/io.containerd.snapshotter.v1.overlayfs';
const looks = new DiskLooks(1, 10_000);
const SYSTEM = 'containerd/io.containerd.snapshotter.v1.overlayfs';

describe('the directory of images and layers', () => {
  let root: string;
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'images-'))));
  afterEach(() => rm(root, { recursive: true }));

  it.each([
    { desc: "the driver's own directory", there: ['docker/overlay2', PRIVATE], expected: 'docker/overlay2' },
    { desc: 'the root directory without a driver', there: [], expected: 'docker' },
    { desc: "the private containerd's directory", store: true, there: [PRIVATE, SYSTEM], expected: PRIVATE },
    {
      desc: "the system containerd's directory",
      store: true,
      there: ['docker/overlayfs', SYSTEM],
      expected: SYSTEM,
    },
    {
      desc: 'the root directory with a containerd in another place',
      store: true,
      there: [],
      expected: 'docker',
    },
  ])('is $desc', async ({ store: containerdStore = false, there, expected }) => {
    for (const path of there) await mkdir(join(root, path), { recursive: true });
    const storageDriver = containerdStore ? 'overlayfs' : 'overlay2';
    expect(
      await findImageDirectory(
        { rootDir: join(root, 'docker'), storageDriver, containerdStore },
        looks,
        join(root, 'containerd'),
      ),
    ).toBe(join(root, expected));
  });

  it('is not a file', async () => {
    await writeFile(join(root, 'vfs'), '');
    const facts = { rootDir: root, storageDriver: 'vfs', containerdStore: false };
    expect(await findImageDirectory(facts, looks)).toBe(root);
  });
});

const DISK = { files: 10, ffree: 3 };

describe('inodes in use', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('are read again each time', async () => {
    let ffree = 4;
    const inodes = new UsedInodes(() => Promise.resolve({ files: 10, ffree: ffree-- }));
    expect([await inodes.of('/a'), await inodes.of('/a')]).toEqual([6, 7]);
  });

  it.each([
    { desc: 'without a fixed number', read: () => Promise.resolve({ files: 0, ffree: 0 }) },
    { desc: 'that is gone', read: () => Promise.reject(new Error('ENOENT')) },
  ])('are unknown for a file system $desc', async ({ read }) => {
    expect(await new UsedInodes(read).of('/a')).toBeUndefined();
  });

  it('are the last known ones while the disk hangs, and the disk is asked only once', async () => {
    const answer = gate<typeof DISK>();
    let reads = 0;
    const inodes = new UsedInodes(() => (++reads === 1 ? Promise.resolve(DISK) : answer.promise));
    await inodes.of('/a');
    for (let poll = 0; poll < 5; poll++) {
      const used = inodes.of('/a');
      await jest.advanceTimersByTimeAsync(2_000);
      expect(await used).toBe(7);
    }
    expect(reads).toBe(2);
    answer.resolve({ files: 10, ffree: 1 });
    await jest.advanceTimersByTimeAsync(0);
    await inodes.of('/a');
    expect([await inodes.of('/a'), reads]).toEqual([9, 4]);
  });
});
