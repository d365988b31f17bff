import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HeldFiles } from '../../../src/stats/cgroup/held-files';

describe('HeldFiles', () => {
  let directory: string;
  let files: HeldFiles;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
    files = new HeldFiles();
  });
  afterEach(async () => {
    await files.close();
    await rm(directory, { recursive: true });
  });

  it('does not look again for what is not there', async () => {
    const path = join(directory, 'cpu.pressure');
    expect(await files.read(path)).toBeUndefined();
    await writeFile(path, 'some');
    expect(await files.read(path)).toBeUndefined();
  });

  it('tries again what could not be opened for another reason', async () => {
    const group = join(directory, 'group');
    const path = join(group, 'cpu.stat');
    // ENOTDIR stands for EMFILE, which cannot be made here without taking this process' descriptors away.
    await writeFile(group, '');
    expect(await files.read(path)).toBeUndefined();
    await rm(group);
    await mkdir(group);
    await writeFile(path, 'usage_usec 1');
    expect(await files.read(path)).toBe('usage_usec 1');
  });
});
