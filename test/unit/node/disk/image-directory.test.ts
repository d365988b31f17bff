import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskLooks } from '../../../../src/node/disk/disk-looks';
import { findImageDirectory } from '../../../../src/node/disk/image-directory';

const PRIVATE = 'docker/containerd/daemon/io.containerd.snapshotter.v1.overlayfs';
const looks = new DiskLooks(1, 10_000);
const SYSTEM = 'containerd/io.containerd.snapshotter.v1.overlayfs';

describe('the directory of images and layers', () => {
  let root: string;
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'images-'))));
  afterEach(() => rm(root, { recursive: true }));

  it.each([
    { desc: "the driver's own", there: ['docker/overlay2', PRIVATE], expected: 'docker/overlay2' },
    { desc: 'the root without one', there: [], expected: 'docker' },
    { desc: "the private containerd's", store: true, there: [PRIVATE, SYSTEM], expected: PRIVATE },
    { desc: "the system containerd's", store: true, there: ['docker/overlayfs', SYSTEM], expected: SYSTEM },
    { desc: 'the root with a containerd elsewhere', store: true, there: [], expected: 'docker' },
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

  it('is no file', async () => {
    await writeFile(join(root, 'vfs'), '');
    const facts = { rootDir: root, storageDriver: 'vfs', containerdStore: false };
    expect(await findImageDirectory(facts, looks)).toBe(root);
  });
});
