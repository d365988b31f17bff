import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstTarEntry, linkTarget } from '../../../src/docker/tar-file';

describe('firstTarEntry', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'dockbridge-tar-'));
    writeFileSync(join(directory, 'passwd'), 'root:x:0:0\n'.repeat(100));
    writeFileSync(join(directory, 'empty'), '');
    writeFileSync(join(directory, 'n'.repeat(200)), 'long');
    mkdirSync(join(directory, 'dir'));
    symlinkSync('../usr/etc/passwd', join(directory, 'link'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const tar = (name: string, format: string): Buffer =>
    execFileSync('tar', ['-C', directory, `--format=${format}`, '-c', name]);

  it.each(['pax', 'gnu', 'ustar'])('reads files and links of the %s format', (format) => {
    expect(firstTarEntry(tar('passwd', format))).toEqual({
      kind: 'file',
      content: Buffer.from('root:x:0:0\n'.repeat(100)),
    });
    expect(firstTarEntry(tar('empty', format))).toEqual({ kind: 'file', content: Buffer.alloc(0) });
    expect(firstTarEntry(tar('link', format))).toEqual({ kind: 'link', target: '../usr/etc/passwd' });
    expect(firstTarEntry(tar('dir', format))).toEqual({ kind: 'other' });
  });

  it.each(['pax', 'gnu'])('passes over what the %s format says about the next entry', (format) => {
    expect(firstTarEntry(tar('n'.repeat(200), format))).toEqual({
      kind: 'file',
      content: Buffer.from('long'),
    });
  });

  it('finds nothing in an empty or a torn archive', () => {
    expect(firstTarEntry(Buffer.alloc(0))).toBeUndefined();
    expect(firstTarEntry(Buffer.alloc(10240))).toBeUndefined();
    expect(firstTarEntry(tar('passwd', 'gnu').subarray(0, 1000))).toBeUndefined();
  });

  it.each([
    { path: '/etc/passwd', target: '../usr/etc/passwd', at: '/usr/etc/passwd' },
    { path: '/etc/passwd', target: '/nix/passwd', at: '/nix/passwd' },
    { path: '/etc/passwd', target: 'passwd.real', at: '/etc/passwd.real' },
    { path: '/etc/passwd', target: '../../../../x', at: '/x' },
  ])('a link $target', ({ path, target, at }) => expect(linkTarget(path, target)).toBe(at));
});
