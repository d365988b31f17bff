import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DiskLooks } from '../../../../src/node/disk/disk-looks';
import {
  listHostDevices,
  loadSeccompOptions,
  requireLoadedProfile,
} from '../../../../src/server/container/node-security';
import { rejectionOf } from '../../support/errors';
import { describeAsRoot } from '../../support/root';

describe('requireLoadedProfile', () => {
  const directory = mkdtempSync(join(tmpdir(), 'apparmor-'));
  const list = join(directory, 'profiles');
  writeFileSync(list, 'docker-default (enforce)\nmy profile (complain)\n/usr/bin/man (enforce)\n');
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each(['docker-default', 'my profile', '/usr/bin/man', 'unconfined', undefined])('accepts %s', (name) =>
    expect(requireLoadedProfile(name, 'c.apparmor', list)).resolves.toBeUndefined(),
  );

  it.each(['docker', 'docker-default (enforce)', 'man'])(
    'refuses "%s", which is not loaded',
    async (name) => {
      expect(await rejectionOf(requireLoadedProfile(name, 'c.apparmor', list))).toBe(
        `FAILED_PRECONDITION c.apparmor: AppArmor profile "${name}" is not loaded on this node`,
      );
    },
  );

  it('leaves the check to the Engine if the list cannot be read', () =>
    expect(requireLoadedProfile('mine', 'c', join(directory, 'absent'))).resolves.toBeUndefined());
});

const DIR = mkdtempSync(join(tmpdir(), 'seccomp-'));
afterAll(() => rmSync(DIR, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(DIR, name);
  writeFileSync(path, text);
  return path;
};
const disks = new DiskLooks(1, 1_000);
const load = (path: string) => loadSeccompOptions({ kind: 'load', path, field: 'c.seccomp' }, disks);

describe('loadSeccompOptions', () => {
  it('needs no file for other profiles', async () => {
    expect(await loadSeccompOptions({ kind: 'engine-default' }, disks)).toEqual([]);
    expect(await loadSeccompOptions({ kind: 'unconfined' }, disks)).toEqual(['seccomp=unconfined']);
  });

  it('passes a profile on completely, to the last digit', async () => {
    const text = '{\n  "defaultAction": "SCMP_ACT_ERRNO", "x": 18446744073709551615\n}\n';
    expect(await load(file('p.json', text))).toEqual([`seccomp=${text}`]);
  });

  it.each([
    { desc: 'a missing file', path: () => join(DIR, 'missing'), why: /ENOENT/ },
    { desc: 'a directory', path: () => DIR, why: /cannot be read/ },
    { desc: 'invalid JSON', path: () => file('bad.json', '{'), why: /is not JSON/ },
    { desc: 'a list', path: () => file('list.json', '[]'), why: /not a JSON object/ },
    { desc: 'no default action', path: () => file('none.json', '{"syscalls":[]}'), why: /no defaultAction/ },
    {
      desc: 'an unknown action',
      path: () =>
        file('action.json', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"NO"}]}'),
      why: /syscalls\[0\]/,
    },
    {
      desc: 'syscalls of the wrong type',
      path: () => file('syscalls.json', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}'),
      why: /not a list/,
    },
    { desc: 'an empty file', path: () => file('empty.json', ''), why: /is not JSON/ },
    { desc: 'a huge file', path: () => file('huge.json', `"${'x'.repeat(1 << 20)}"`), why: /larger than/ },
    { desc: 'an endless file', path: () => '/dev/zero', why: /cannot be read/ },
    {
      desc: 'a pipe without a writer',
      path: () => {
        execFileSync('mkfifo', [join(DIR, 'pipe')]);
        return join(DIR, 'pipe');
      },
      why: /cannot be read/,
    },
  ])(
    'refuses $desc',
    async ({ path, why }) => {
      const message = await rejectionOf(load(path()));
      expect(message).toMatch(/^INVALID_ARGUMENT c\.seccomp\.localhost_ref: /);
      expect(message).toMatch(why);
    },
    10_000,
  );
});

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

  it("finds device nodes at any depth, but not links, files and each container's own devices", async () => {
    const found = (await listHostDevices(dev)).map((path) => path.slice(dev.length + 1)).sort();
    expect(found).toEqual(['deep/deeper/card0', 'kvm', 'loop0', 'net/tun']);
  });

  it('returns none for a missing directory', async () => {
    expect(await listHostDevices(join(dev, 'absent'))).toEqual([]);
  });
});
