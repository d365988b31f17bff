import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NamespaceMode } from '../../../src/proto/enums';
import { keepResolvConf } from '../../../src/network/resolv-conf-file';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { recordedInspect } from '../support/inspects';

const WANTED = 'search shop.local\nnameserver 10.96.0.10\noptions ndots:5\n';
const OTHER = 'nameserver 192.168.1.1\n';

/** A sandbox of ours that was given WANTED. The Engine keeps the files of each sandbox in a separate directory. */
describe('resolv.conf of a sandbox', () => {
  let root: string;
  let path: string;
  let sandbox: EngineContainerInspect;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'resolv-conf-'));
    sandbox = recordedInspect('sandbox-running');
    mkdirSync(join(root, sandbox.Id));
    path = join(root, sandbox.Id, 'resolv.conf');
    sandbox.ResolvConfPath = path;
    const labels = sandbox.Config.Labels!;
    const dns = { servers: ['10.96.0.10'], searches: ['shop.local'], options: ['ndots:5'] };
    const extra = JSON.parse(labels['io.dockbridge.cri'] ?? '{}') as object;
    labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, dns });
    writeFileSync(path, OTHER);
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const text = (): string => readFileSync(path, 'utf8');

  it('has the settings of its pod', async () => {
    await keepResolvConf(sandbox);
    expect(text()).toBe(WANTED);
  });

  it('stays the same file, because containers have it mounted, and is not written if it is already right', async () => {
    const { ino } = statSync(path);
    await keepResolvConf(sandbox);
    expect(statSync(path).ino).toBe(ino);
    const inOtherOrder = '# by hand\nnameserver 10.96.0.10\noptions ndots:5\nsearch shop.local\n';
    writeFileSync(path, inOtherOrder);
    await keepResolvConf(sandbox);
    expect(text()).toBe(inOtherOrder);
  });

  it('stays as it is if it was written after a start that dockbridge did not see', async () => {
    const started = Date.parse(sandbox.State.StartedAt) / 1000;
    utimesSync(path, started + 1, started + 1);
    await keepResolvConf(sandbox, true);
    expect(text()).toBe(OTHER);
    utimesSync(path, started - 1, started - 1);
    await keepResolvConf(sandbox, true);
    expect(text()).toBe(WANTED);
  });

  it('is never seen empty, and in the end holds no part of the old text', async () => {
    const old = `${'# long\n'.repeat(50)}nameserver 1.1.1.1\n`;
    const seen = new Set<string>();
    for (let round = 0; round < 50; round++) {
      writeFileSync(path, old);
      const keeping = keepResolvConf(sandbox);
      const progress = { done: false };
      void keeping.then(() => (progress.done = true));
      while (!progress.done) {
        seen.add(text().trim());
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(text()).toBe(WANTED);
    }
    // The kernel locks no reader out while it copies, so a reader at that moment may see parts of both
    // texts.
    expect(seen).not.toContain('');
  });

  it('is written again without being read when a pod has filled it', async () => {
    writeFileSync(path, `${WANTED}${'\n'.repeat(70_000)}`);
    await keepResolvConf(sandbox);
    expect(text()).toBe(WANTED);
  });

  it.each<{ desc: string; change: (inspect: EngineContainerInspect) => void }>([
    {
      desc: 'of a container',
      change: ({ Config }) => (Config.Labels!['io.kubernetes.docker.type'] = 'container'),
    },
    {
      desc: 'of a foreign container with a sandbox label from its image',
      change: (inspect) => (inspect.Name = '/k8s_POD_a_b_c_0'),
    },
    { desc: 'of another container', change: (inspect) => (inspect.Id = 'f'.repeat(64)) },
    { desc: 'of a sandbox that does not run', change: ({ State }) => (State.Pid = 0) },
  ])('is written, but not a resolv.conf $desc', async ({ change }) => {
    change(sandbox);
    await keepResolvConf(sandbox);
    expect(text()).toBe(OTHER);
  });

  it('is empty if the pod was given an empty one, whatever the Engine added', async () => {
    const labels = sandbox.Config.Labels!;
    const extra = JSON.parse(labels['io.dockbridge.cri']!) as object;
    const dns = { servers: [], searches: [], options: [] };
    labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, dns });
    await keepResolvConf(sandbox);
    expect(text()).toBe('');
  });

  describe('of a pod without DNS settings', () => {
    const RESOLVED = 'nameserver 192.168.1.53\nsearch home.example\n';
    const STUB = '# resolved\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n';
    let node: { file: string; behindStub: string };
    beforeEach(() => {
      sandbox.Config.Labels!['io.dockbridge.cri'] =
        recordedInspect('sandbox-running').Config.Labels!['io.dockbridge.cri']!;
      node = { file: join(root, 'node.conf'), behindStub: join(root, 'resolved.conf') };
      writeFileSync(node.behindStub, RESOLVED);
    });

    /** Engines that have public servers write this file when no server is left. */
    const OF_ENGINE = '# Generated by Docker Engine.\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n';

    it.each([
      { desc: 'a loopback address', own: 'nameserver 127.0.0.1\nsearch a.example\n' },
      { desc: 'comments, domain and sortlist', own: '# mine\ndomain a\nsortlist 10.0.0.0\nnameserver ::1\n' },
      { desc: 'no server', own: 'search a.example\n' },
      { desc: 'no text', own: '' },
      { desc: 'a stub and another server', own: 'nameserver 127.0.0.53\nnameserver 10.0.0.1\n' },
    ])('is a copy of the node’s file with $desc', async ({ own }) => {
      writeFileSync(node.file, own);
      writeFileSync(path, OF_ENGINE);
      await keepResolvConf(sandbox, false, node);
      expect(text()).toBe(own);
    });

    it('is empty if the node has none', async () => {
      await keepResolvConf(sandbox, false, node);
      expect(text()).toBe('');
    });

    it("has systemd-resolved's own servers, because its stub cannot be reached from the pod’s network", async () => {
      writeFileSync(node.file, STUB);
      await keepResolvConf(sandbox, false, node);
      expect(text()).toBe(RESOLVED);
    });

    it('is the node’s file with the stub if there is nothing else', async () => {
      writeFileSync(node.file, STUB);
      rmSync(node.behindStub);
      await keepResolvConf(sandbox, false, node);
      expect(text()).toBe(STUB);
    });

    it('is the node’s file with the stub on the node’s own network', async () => {
      const labels = sandbox.Config.Labels!;
      const extra = JSON.parse(labels['io.dockbridge.cri']!) as { namespaces: object };
      const namespaces = { ...extra.namespaces, network: NamespaceMode.NODE };
      labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, namespaces });
      writeFileSync(node.file, STUB);
      await keepResolvConf(sandbox, false, node);
      expect(text()).toBe(STUB);
    });

    it('causes an error if the node’s file cannot be read', async () => {
      mkdirSync(node.file);
      await expect(keepResolvConf(sandbox, false, node)).rejects.toThrow(/EISDIR/);
    });
  });

  it('is compared by meaning: the order counts for servers, and not for other lines', async () => {
    const labels = sandbox.Config.Labels!;
    const extra = JSON.parse(labels['io.dockbridge.cri']!) as object;
    const dns = { servers: ['10.0.0.1', '10.0.0.2'], searches: ['a.example'], options: ['ndots:5'] };
    labels['io.dockbridge.cri'] = JSON.stringify({ ...extra, dns });
    const same = [
      'search a.example\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5\n',
      '  options ndots:5  \n\n# mine\nnameserver 10.0.0.1\nsearch a.example\nnameserver 10.0.0.2',
    ];
    for (const present of same) {
      writeFileSync(path, present);
      await keepResolvConf(sandbox);
      expect(text()).toBe(present);
    }
    const others = [
      'search a.example\nnameserver 10.0.0.2\nnameserver 10.0.0.1\noptions ndots:5\n',
      'search a.example\nnameserver 10.0.0.1\noptions ndots:5\n',
      'nameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5\n',
    ];
    for (const present of others) {
      writeFileSync(path, present);
      await keepResolvConf(sandbox);
      expect(text()).toBe(same[0]);
    }
  });

  it('is written after a start that dockbridge did not see, if it dates from the moment of the start', async () => {
    const started = Date.parse(sandbox.State.StartedAt) / 1000;
    utimesSync(path, started, started);
    await keepResolvConf(sandbox, true);
    expect(text()).toBe(WANTED);
  });

  it('is compared if it has at most 64 KiB, and is written again if it has more', async () => {
    const fill = (bytes: number): void => writeFileSync(path, WANTED.padEnd(bytes, '\n'));
    fill(65_536);
    await keepResolvConf(sandbox);
    expect(text()).toHaveLength(65_536);
    fill(65_537);
    await keepResolvConf(sandbox);
    expect(text()).toBe(WANTED);
  });

  it('is truncated only after the text is written', async () => {
    const handle = await open(path);
    const files = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const story: string[] = [];
    // eslint-disable-next-line @typescript-eslint/unbound-method -- each is called on its own file below
    const real = { write: files.write, truncate: files.truncate };
    const write = jest.spyOn(files, 'write').mockImplementation(async function (this: FileHandle, ...args) {
      await new Promise((resolve) => setImmediate(resolve));
      const written: unknown = await (real.write as (...all: unknown[]) => unknown).apply(this, args);
      story.push('written');
      return written as never;
    });
    const truncate = jest.spyOn(files, 'truncate').mockImplementation(function (this: FileHandle, length) {
      story.push('truncated');
      return real.truncate.call(this, length);
    });
    try {
      await keepResolvConf(sandbox);
    } finally {
      write.mockRestore();
      truncate.mockRestore();
    }
    expect([story, text()]).toEqual([['written', 'truncated'], WANTED]);
  });

  it('may grow', async () => {
    writeFileSync(path, 'x');
    await keepResolvConf(sandbox);
    expect(text()).toBe(WANTED);
    expect(statSync(path).size).toBe(Buffer.byteLength(WANTED));
  });

  it('causes an error if it does not exist', async () => {
    rmSync(path);
    await expect(keepResolvConf(sandbox)).rejects.toThrow(/ENOENT/);
  });

  it('leaves no file open', async () => {
    const opened = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
        } catch {
          return false;
        }
      }).length;
    await keepResolvConf(sandbox);
    expect(opened()).toBe(0);
  });

  it('is not followed if it is a link to another file', async () => {
    const target = join(root, 'passwd');
    writeFileSync(target, OTHER);
    rmSync(path);
    symlinkSync(target, path);
    await expect(keepResolvConf(sandbox)).rejects.toThrow(/ELOOP/);
    expect(readFileSync(target, 'utf8')).toBe(OTHER);
  });
});
