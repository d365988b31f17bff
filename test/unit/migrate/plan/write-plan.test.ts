import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePlan } from '../../../../src/migrate/plan/plan';
import { checkEmpty, readOriginals, writePlan } from '../../../../src/migrate/plan/write-plan';
import { nodeFacts } from './node-facts';

let scratch: string;
beforeEach(async () => (scratch = await mkdtemp(join(tmpdir(), 'plan-'))));
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(scratch, { recursive: true });
});

const plan = makePlan({
  facts: nodeFacts({ daemonJson: '{"proxies": {"http-proxy": "http://u:p@h"}}' }),
  findings: [],
  target: 'containerd',
  version: '1',
  accepted: [],
  keepDocker: false,
  originals: new Map(),
});

const mode = async (path: string) => (await stat(path)).mode & 0o777;

describe('writePlan', () => {
  it('writes only below its directory, which only the owner can enter', async () => {
    const out = join(scratch, 'a', 'out');
    await writePlan(out, plan);
    expect(await readdir(scratch)).toEqual(['a']);
    expect((await readdir(out)).sort()).toEqual(['files', 'patches', 'plan.json', 'plan.md']);
    expect(await mode(out)).toBe(0o700);
    const proxy = 'files/etc/systemd/system/containerd.service.d/10-proxy-from-docker.conf';
    expect(await mode(join(out, proxy))).toBe(0o600);
    expect(await readdir(join(out, 'patches/var/lib/kubelet'))).toEqual(['kubeadm-flags.env.patch']);
  });

  it('closes an empty directory that others could enter', async () => {
    await mkdir(join(scratch, 'open'), { mode: 0o755 });
    await writePlan(join(scratch, 'open'), plan);
    expect(await mode(join(scratch, 'open'))).toBe(0o700);
  });

  it('refuses a directory of another user', async () => {
    jest.spyOn(process, 'geteuid').mockReturnValue(4_711);
    await expect(writePlan(scratch, plan)).rejects.toThrow('belongs to the user');
    expect(await readdir(scratch)).toEqual([]);
  });

  it('refuses a path of the node that leads out of its directory', async () => {
    const [file] = plan.files;
    const files = [{ ...file!, path: '/../../escaped' }];
    await expect(writePlan(join(scratch, 'out'), { ...plan, files })).rejects.toThrow('which is outside');
    expect(await readdir(scratch)).toEqual(['out']);
  });

  it('replaces nothing', async () => {
    await writePlan(join(scratch, 'out'), plan);
    await expect(writePlan(join(scratch, 'out'), plan)).rejects.toThrow('EEXIST');
  });
});

describe('checkEmpty', () => {
  it('accepts a directory that is missing or empty', async () => {
    await mkdir(join(scratch, 'empty'));
    await expect(checkEmpty(join(scratch, 'empty'))).resolves.toBeUndefined();
    await expect(checkEmpty(join(scratch, 'none'))).resolves.toBeUndefined();
  });

  it('refuses a directory with a file, and a file', async () => {
    await writeFile(join(scratch, 'x'), '');
    await expect(checkEmpty(scratch)).rejects.toThrow('is not empty: name a new directory');
    await expect(checkEmpty(join(scratch, 'x'))).rejects.toThrow('is a file: name a directory');
  });
});

describe('readOriginals', () => {
  it('returns the files that exist below the root', async () => {
    await writeFile(join(scratch, 'a'), 'text');
    expect([...(await readOriginals(scratch, ['/a', '/b', '/a/c']))]).toEqual([['/a', 'text']]);
  });

  it('follows links below the root, and never to a file of this machine', async () => {
    const root = join(scratch, 'node');
    await mkdir(root);
    await writeFile(join(scratch, 'secret'), 'of this machine');
    await writeFile(join(root, 'target'), 'of the node');
    await symlink(join(scratch, 'secret'), join(root, 'out'));
    await symlink('../secret', join(root, 'up'));
    await symlink('/target', join(root, 'link'));
    const found = await readOriginals(root, ['/out', '/up', '/link']);
    expect([...found]).toEqual([['/link', 'of the node']]);
  });

  it('fails for a file that exists but cannot be read, unless it is optional', async () => {
    await mkdir(join(scratch, 'dir'));
    await expect(readOriginals(scratch, [], ['/dir'])).resolves.toEqual(new Map());
    await expect(readOriginals(scratch, ['/dir'])).rejects.toThrow(
      'the plan needs /dir, which cannot be read: not a regular file',
    );
  });
});
