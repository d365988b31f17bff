import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilePlaces, HeldFiles } from '../../../src/stats/cgroup/held-files';

describe('HeldFiles', () => {
  let directory: string;
  let files: HeldFiles;
  let places: FilePlaces;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
    places = new FilePlaces(2);
    files = new HeldFiles(places);
  });
  afterEach(async () => {
    await files.close();
    await rm(directory, { recursive: true });
  });

  it('does not look again for a missing file', async () => {
    const path = join(directory, 'cpu.pressure');
    expect(await files.read(path)).toBeUndefined();
    await writeFile(path, 'some');
    expect(await files.read(path)).toBeUndefined();
  });

  it('retries a file that could not be opened for another reason', async () => {
    const group = join(directory, 'group');
    const path = join(group, 'cpu.stat');
    // ENOTDIR stands for EMFILE, which a test cannot cause without using up this process's descriptors.
    await writeFile(group, '');
    expect(await files.read(path)).toBeUndefined();
    await rm(group);
    await mkdir(group);
    await writeFile(path, 'usage_usec 1');
    expect(await files.read(path)).toBe('usage_usec 1');
  });

  /** Returns the files of the directory that this process has open. */
  async function opened(): Promise<number> {
    const links = await readdir('/proc/self/fd');
    const targets = await Promise.all(links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    return targets.filter((target) => target.startsWith(directory)).length;
  }

  it('holds no more files than there are places, and still reads the others', async () => {
    const paths = ['a', 'b', 'c', 'd'].map((name) => join(directory, name));
    await Promise.all(paths.map((path) => writeFile(path, path)));
    const other = new HeldFiles(places);
    for (let round = 0; round < 2; round++) {
      expect(await Promise.all(paths.slice(0, 3).map((path) => files.read(path)))).toEqual(paths.slice(0, 3));
      expect(await other.read(paths[3] ?? '')).toBe(paths[3]);
      expect(await opened()).toBe(2);
    }
    // The places of a cgroup that has ended are free for another.
    await files.close();
    expect(await opened()).toBe(0);
    await other.read(paths[3] ?? '');
    expect(await opened()).toBe(1);
    await other.close();
  });

  it('gives no place to a missing file', async () => {
    for (const name of ['x', 'y', 'z']) expect(await files.read(join(directory, name))).toBeUndefined();
    const path = join(directory, 'there');
    await writeFile(path, '1');
    await files.read(path);
    expect(await opened()).toBe(1);
  });
});
