import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskLooks } from '../../../../src/node/disk/disk-looks';
import { loadSeccompOptions } from '../../../../src/server/container/seccomp-profile';
import { rejectionOf } from '../../support/errors';

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
  it('needs no file for the others', async () => {
    expect(await loadSeccompOptions({ kind: 'engine-default' }, disks)).toEqual([]);
    expect(await loadSeccompOptions({ kind: 'unconfined' }, disks)).toEqual(['seccomp=unconfined']);
  });

  it('passes a profile whole, to the last digit', async () => {
    const text = '{\n  "defaultAction": "SCMP_ACT_ERRNO", "x": 18446744073709551615\n}\n';
    expect(await load(file('p.json', text))).toEqual([`seccomp=${text}`]);
  });

  it.each([
    { desc: 'a missing file', path: () => join(DIR, 'missing'), why: /ENOENT/ },
    { desc: 'a directory', path: () => DIR, why: /cannot be read/ },
    { desc: 'no JSON', path: () => file('bad.json', '{'), why: /is not JSON/ },
    { desc: 'a list', path: () => file('list.json', '[]'), why: /not a JSON object/ },
    { desc: 'no default', path: () => file('none.json', '{"syscalls":[]}'), why: /no defaultAction/ },
    {
      desc: 'an unknown action',
      path: () =>
        file('action.json', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"NO"}]}'),
      why: /syscalls\[0\]/,
    },
    {
      desc: 'syscalls of another kind',
      path: () => file('syscalls.json', '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}'),
      why: /no list/,
    },
    { desc: 'an empty file', path: () => file('empty.json', ''), why: /is not JSON/ },
    { desc: 'a huge one', path: () => file('huge.json', `"${'x'.repeat(1 << 20)}"`), why: /larger than/ },
    { desc: 'an endless one', path: () => '/dev/zero', why: /cannot be read/ },
    {
      desc: 'a pipe that nobody writes to',
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
