import { existsSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  readAttachments,
  readNetwork,
  ResultCache,
  type CachedAttachment,
} from '../../../src/network/cni/result-cache';
import { rejectionOf } from '../support/errors';
import { RESULT } from './fake-plugins';

const ENTRY: CachedAttachment = {
  ...{ containerId: 'c1', networkName: 'net', ifName: 'eth0', netns: '/ns', config: '{"name":"ü"}' },
  cniArgs: [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAME', 'web'],
  ],
  ...{ capabilityArgs: { dns: { servers: ['10.0.0.1'] } }, result: RESULT },
};
const BODY = {
  ...{ kind: 'cniCacheV1', containerId: 'c1', ifName: 'eth0', networkName: 'net', netns: '/ns' },
  ...{ config: Buffer.from(ENTRY.config).toString('base64'), cniArgs: ENTRY.cniArgs },
  ...{ capabilityArgs: ENTRY.capabilityArgs, result: RESULT },
};

let root: string;
let cache: ResultCache;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dockbridge-cache-'));
  cache = new ResultCache(root);
});
afterEach(() => rm(root, { recursive: true }));

const results = (): string => join(root, 'results');
const names = async (): Promise<string[]> => (await readdir(results())).sort();

async function file(name: string, body: object | string): Promise<void> {
  await mkdir(results(), { recursive: true });
  await writeFile(join(results(), name), typeof body === 'string' ? body : JSON.stringify(body));
}

async function reread(): Promise<ResultCache> {
  const other = new ResultCache(root);
  await other.load();
  return other;
}

describe('the cache of CNI results', () => {
  it("writes libcni's format, readable for root alone, and reads it again", async () => {
    await cache.put(ENTRY);
    expect(await names()).toEqual(['net-c1-eth0']);
    expect(JSON.parse(await readFile(join(results(), 'net-c1-eth0'), 'utf8'))).toEqual(BODY);
    expect(statSync(join(results(), 'net-c1-eth0')).mode & 0o777).toBe(0o600);
    expect(statSync(results()).mode & 0o777).toBe(0o700);
    for (const one of [cache, await reread()]) {
      expect(one.of('c1')).toEqual([ENTRY]);
      expect(one.values()).toEqual([ENTRY]);
    }
  });

  it('omits missing values', async () => {
    const begun = { ...ENTRY, capabilityArgs: {}, result: undefined };
    await cache.put(begun);
    const { result: _result, capabilityArgs: _args, ...rest } = BODY;
    expect(JSON.parse(await readFile(join(results(), 'net-c1-eth0'), 'utf8'))).toEqual(rest);
    expect((await reread()).of('c1')).toEqual([begun]);
  });

  it('keeps the entries of a container apart from each other and from those of other containers', async () => {
    const lo = { ...ENTRY, networkName: 'cni-loopback', ifName: 'lo' };
    const other = { ...ENTRY, containerId: 'c2' };
    for (const entry of [ENTRY, lo, other]) await cache.put(entry);
    await cache.put({ ...ENTRY, netns: '' });
    expect(cache.of('c1')).toEqual([{ ...ENTRY, netns: '' }, lo]);
    expect(cache.values()).toEqual([{ ...ENTRY, netns: '' }, lo, other]);
    await cache.remove(ENTRY);
    expect(cache.of('c1')).toEqual([lo]);
    await cache.remove(lo);
    expect([cache.of('c1'), cache.values()]).toEqual([[], [other]]);
    expect(await names()).toEqual(['net-c2-eth0']);
    // Removing a missing entry succeeds.
    await cache.remove(lo);
  });

  it('is read again by each load', async () => {
    await cache.put(ENTRY);
    await file('net-c2-eth0', 'damaged');
    await cache.load();
    expect(cache.unreadableOf('c2')).toEqual([undefined]);
    await rm(results(), { recursive: true });
    await cache.load();
    expect([cache.values(), cache.unreadableOf('c2')]).toEqual([[], []]);
  });

  it('accepts entries in the forms of Go and of older libraries', async () => {
    const { containerId: _, ...body } = BODY;
    await file('net-c1-eth0', { ...body, containerID: 'c1' });
    await file('a-c2-eth0', { kind: 'cniCacheV1', containerId: 'c2', networkName: 'a', ifName: 'eth0' });
    const odd = [['a', 'b'], ['c'], 'd', [1, 'e'], ['f', 'g', 'h']];
    await file('b-c3-eth0', {
      ...{ ...BODY, containerId: 'c3', networkName: 'b', cniArgs: odd },
      ...{ capabilityArgs: 'none', result: [] },
    });
    await cache.load();
    expect(cache.of('c1')).toEqual([ENTRY]);
    expect(cache.of('c2')).toEqual([
      {
        ...{ containerId: 'c2', networkName: 'a', ifName: 'eth0', netns: '', config: '' },
        ...{ cniArgs: [], capabilityArgs: {}, result: undefined },
      },
    ]);
    expect(cache.of('c3')).toEqual([
      {
        ...ENTRY,
        ...{ containerId: 'c3', networkName: 'b', capabilityArgs: {}, result: undefined },
        cniArgs: [
          ['a', 'b'],
          ['', 'e'],
        ],
      },
    ]);
  });

  it('distinguishes the files of a container that are not entries, and reads the results in them', async () => {
    await file('net-c1-eth0', RESULT);
    await file('x-c1-eth0', '{"half');
    await file('y-c1-eth0', { ...BODY, kind: 'another' });
    await file('z-c1-eth0', { ...BODY, containerId: '' });
    // This entry has the file name of another one.
    await file('net-c2-eth0', { ...BODY, ifName: 'net1' });
    await cache.load();
    expect([cache.values(), cache.unreadableOf('c3')]).toEqual([[], []]);
    expect(cache.unreadableOf('c1')).toHaveLength(4);
    expect(cache.unreadableOf('c1').filter((result) => result !== undefined)).toEqual([RESULT]);
    expect(cache.unreadableOf('c2')).toEqual([RESULT]);
    await cache.removeUnreadable('c1');
    expect([cache.unreadableOf('c1'), await names()]).toEqual([[], ['net-c2-eth0']]);
    expect(cache.unreadableOf('c2')).toEqual([RESULT]);
  });

  it('removes its own drafts and leaves those of others', async () => {
    for (const name of ['.net-c1-eth0.dockbridge', '.net-c1-eth0.swp', 'net-c1-eth0.dockbridge'])
      await file(name, BODY);
    await cache.load();
    expect(await names()).toEqual(['.net-c1-eth0.swp', 'net-c1-eth0.dockbridge']);
    expect(cache.unreadableOf('c1')).toEqual([RESULT]);
  });

  it('says why an entry cannot be written, and keeps it in memory, so that it can be undone', async () => {
    // Root may write anywhere, but not below a file.
    await writeFile(results(), '');
    const why = `UNAVAILABLE the CNI cache in ${results()} cannot be written (ENOTDIR)`;
    const failure = await cache.put(ENTRY).catch((error: unknown) => error as Error);
    expect(await rejectionOf(Promise.reject(failure as Error))).toMatch(
      /^UNAVAILABLE the CNI cache in .* cannot be written \((EEXIST|ENOTDIR)\)$/,
    );
    expect((failure as Error).cause).toMatchObject({
      code: expect.stringMatching(/EEXIST|ENOTDIR/) as string,
    });
    expect(cache.of('c1')).toEqual([ENTRY]);
    expect(await rejectionOf(cache.remove(ENTRY))).toBe(why);
    expect(cache.of('c1')).toEqual([ENTRY]);
  });

  it('keeps no draft of an entry that cannot be renamed', async () => {
    await mkdir(join(results(), 'net-c1-eth0'), { recursive: true });
    expect(await rejectionOf(cache.put(ENTRY))).toMatch(/^UNAVAILABLE .*\(EISDIR\)$/);
    expect(await names()).toEqual(['net-c1-eth0']);
  });
});

describe('without a ResultCache', () => {
  beforeEach(async () => {
    await file('net-c1-eth0', BODY);
    await file('cni-loopback-c1-lo', { ...BODY, networkName: 'cni-loopback', ifName: 'lo' });
    await file('net-c2-eth0', { ...BODY, containerId: 'c2' });
    await file('net-more-c3-eth0', { ...BODY, containerId: 'c3', networkName: 'net-more' });
  });

  it('the attachments of a container are read', async () => {
    await file('damaged-c1-eth0', '{');
    await file('liar-c1-eth0', { ...BODY, containerId: 'c2' });
    await mkdir(join(results(), 'directory-c1-eth0'));
    const found = await readAttachments(root, 'c1');
    expect(found.sort((one, other) => (one.ifName < other.ifName ? -1 : 1))).toEqual([
      ENTRY,
      { ...ENTRY, networkName: 'cni-loopback', ifName: 'lo' },
    ]);
    expect(await readAttachments(root, 'c')).toEqual([]);
    expect(await readAttachments(join(root, 'nowhere'), 'c1')).toEqual([]);
  });

  it('the attachments of a network are read', async () => {
    // A dangling link stands for a file that is removed between the list and its reading.
    await symlink(join(root, 'gone'), join(results(), 'net-c8-eth0'));
    const found = await readNetwork(root, 'net');
    expect(found.map(({ containerId }) => containerId).sort()).toEqual(['c1', 'c2']);
    expect(await readNetwork(root, 'another')).toEqual([]);
    expect(existsSync(join(root, 'nowhere'))).toBe(false);
    expect(await readNetwork(join(root, 'nowhere'), 'net')).toEqual([]);
  });

  it('the attachments of a network are returned completely or not at all', async () => {
    await file('net-c9-eth0', '{"half');
    expect(await rejectionOf(readNetwork(root, 'net'))).toBe(
      `UNAVAILABLE ${join(results(), 'net-c9-eth0')} is not an entry of a CNI cache`,
    );
    await rm(join(results(), 'net-c9-eth0'));
    await mkdir(join(results(), 'net-c9-eth0'));
    await expect(readNetwork(root, 'net')).rejects.toThrow(/EISDIR/);
  });
});
