import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { listHostDevices } from '../../../../src/server/container/host-devices';
import { describeAsRoot } from '../../support/root';

const run = promisify(execFile);

describeAsRoot('listHostDevices', () => {
  let dev: string;
  beforeAll(async () => {
    dev = await mkdtemp(join(tmpdir(), 'dockbridge-dev-'));
    for (const directory of ['net', 'pts', 'deep/deeper'])
      await mkdir(join(dev, directory), { recursive: true });
    for (const path of ['kvm', 'net/tun', 'deep/deeper/card0', 'pts/0', 'null'])
      await run('mknod', [join(dev, path), 'c', '1', '3']);
    await run('mknod', [join(dev, 'loop0'), 'b', '7', '0']);
    await writeFile(join(dev, 'file'), '');
    await symlink('kvm', join(dev, 'link'));
  });
  afterAll(() => rm(dev, { recursive: true }));

  it('finds device nodes at any depth, but links, files and what each container has of its own', async () => {
    const found = (await listHostDevices(dev)).map((path) => path.slice(dev.length + 1)).sort();
    expect(found).toEqual(['deep/deeper/card0', 'kvm', 'loop0', 'net/tun']);
  });

  it('finds nothing where nothing is', async () => {
    expect(await listHostDevices(join(dev, 'absent'))).toEqual([]);
  });
});
