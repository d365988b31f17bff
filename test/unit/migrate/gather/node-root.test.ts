import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeRoot } from '../../../../src/migrate/gather/node-root';

describe('NodeRoot.names', () => {
  let root: string;
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'root-'))));
  afterEach(() => rm(root, { recursive: true }));

  it('lists a directory behind a link, which it follows below the root', async () => {
    await mkdir(join(root, 'certs/shared'), { recursive: true });
    await writeFile(join(root, 'certs/shared/ca.crt'), '');
    await mkdir(join(root, 'etc'));
    await symlink('/certs/shared', join(root, 'etc/reg.example'));
    await symlink('/missing', join(root, 'etc/dead'));
    expect(await new NodeRoot(root).names('/etc', 2)).toEqual(['dead', 'reg.example/ca.crt']);
  });
});
