import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inDirectory, logDirectoryOf } from '../../../src/logs/log-directory';
import { errnoOf } from '../../../src/lib/errors';

describe('logDirectoryOf', () => {
  const log = '/var/log/pods/ns_pod_uid/app/0.log';

  it.each([
    { desc: "the pod's directory", directory: '/var/log/pods/ns_pod_uid', trusted: '/var/log/pods' },
    {
      desc: 'the directory of the log itself',
      directory: '/var/log/pods/ns_pod_uid/app',
      trusted: '/var/log/pods/ns_pod_uid',
    },
    { desc: 'no log directory', directory: '', trusted: '/var/log/pods' },
    {
      desc: 'a neighbouring directory with a similar name',
      directory: '/var/log/pods/ns_pod',
      trusted: '/var/log/pods',
    },
    { desc: 'a directory in another place', directory: '/elsewhere', trusted: '/var/log/pods' },
  ])('with $desc trusts $trusted', ({ directory, trusted }) => {
    expect(logDirectoryOf(log, directory)).toEqual({ path: '/var/log/pods/ns_pod_uid/app', trusted });
  });

  it("assumes kubelet's layout if the request has no directory", () => {
    expect(logDirectoryOf('/a/b/c/0.log')).toEqual({ path: '/a/b/c', trusted: '/a' });
  });
});

describe('inDirectory', () => {
  let root: string;
  beforeEach(() => (root = fs.mkdtempSync(join(tmpdir(), 'dockbridge-log-directory-'))));
  afterEach(() => fs.rmSync(root, { recursive: true }));

  /**
   * Returns the contents of the directory or the reason why it cannot be entered, and checks that every
   * descriptor is closed.
   */
  function listed(path: string, mayCreate = false, trusted = root): string[] | string {
    const before = fs.readdirSync('/proc/self/fd').length;
    try {
      return inDirectory({ path: join(root, path), trusted }, mayCreate, (held) => fs.readdirSync(held));
    } catch (error) {
      return errnoOf(error) ?? String(error);
    } finally {
      expect(fs.readdirSync('/proc/self/fd')).toHaveLength(before);
    }
  }

  it('works in the directory itself', () => {
    fs.mkdirSync(join(root, 'pod/app'), { recursive: true });
    fs.writeFileSync(join(root, 'pod/app/0.log'), '');
    expect(listed('pod/app')).toEqual(['0.log']);
    expect(listed('')).toEqual(['pod']);
  });

  it('creates missing directories only if it may', () => {
    expect(listed('pod/app')).toBe('ENOENT');
    expect(fs.existsSync(join(root, 'pod'))).toBe(false);
    expect(listed('pod/app', true)).toEqual([]);
    expect(fs.statSync(join(root, 'pod/app')).isDirectory()).toBe(true);
    expect(listed('pod/app', true)).toEqual([]);
    const trusted = join(root, 'not/yet');
    expect(listed('not/yet/pod', false, trusted)).toBe('ENOENT');
    expect(listed('not/yet/pod', true, trusted)).toEqual([]);
  });

  it.each([
    { desc: 'the last part', link: 'pod/app', target: 'elsewhere' },
    { desc: 'an earlier part', link: 'pod', target: 'elsewhere' },
  ])('follows no symlink in place of $desc, unless it is the trusted directory', ({ link, target }) => {
    fs.mkdirSync(join(root, target, 'app'), { recursive: true });
    fs.mkdirSync(join(root, 'pod'));
    if (link === 'pod') fs.rmdirSync(join(root, 'pod'));
    fs.symlinkSync(join(root, target), join(root, link));
    for (const mayCreate of [false, true]) expect(listed('pod/app', mayCreate)).toBe('ENOTDIR');
    if (link === 'pod') expect(listed('pod/app', false, join(root, 'pod'))).toEqual([]);
  });

  it('is not misled by a rename meanwhile', () => {
    fs.mkdirSync(join(root, 'pod/app'), { recursive: true });
    inDirectory({ path: join(root, 'pod/app'), trusted: root }, false, (held) => {
      fs.renameSync(join(root, 'pod'), join(root, 'renamed'));
      fs.writeFileSync(`${held}/0.log`, '');
    });
    expect(fs.readdirSync(join(root, 'renamed/app'))).toEqual(['0.log']);
  });
});
