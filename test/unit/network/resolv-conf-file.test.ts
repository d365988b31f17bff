import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepResolvConf } from '../../../src/network/resolv-conf-file';
import type { EngineContainerInspect } from '../../../src/translate/engine';
import { recordedInspect } from '../support/inspects';

const WANTED = 'search shop.local\nnameserver 10.96.0.10\noptions ndots:5\n';
const OTHER = 'nameserver 192.168.1.1\n';

/** A sandbox of ours that was given WANTED, with its own directory as the Engine keeps them. */
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

  it('says what its pod was given', async () => {
    await keepResolvConf(sandbox);
    expect(text()).toBe(WANTED);
  });

  it('stays the same file, for containers have it mounted, and is not touched when it says so already', async () => {
    const { ino } = statSync(path);
    await keepResolvConf(sandbox);
    expect(statSync(path).ino).toBe(ino);
    const inOtherOrder = '# by hand\nnameserver 10.96.0.10\noptions ndots:5\nsearch shop.local\n';
    writeFileSync(path, inOtherOrder);
    await keepResolvConf(sandbox);
    expect(text()).toBe(inOtherOrder);
  });

  it('of a start that nobody saw is left alone when it was written to since', async () => {
    const started = Date.parse(sandbox.State.StartedAt) / 1000;
    utimesSync(path, started + 1, started + 1);
    await keepResolvConf(sandbox, true);
    expect(text()).toBe(OTHER);
    utimesSync(path, started - 1, started - 1);
    await keepResolvConf(sandbox, true);
    expect(text()).toBe(WANTED);
  });

  it('is never seen empty, and holds no rest of the old text in the end', async () => {
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
    // The kernel locks nobody out while it copies, so a reader in that very moment may see some of both texts.
    expect(seen).not.toContain('');
  });

  it('is written anew, unread, when a pod has filled it', async () => {
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
      desc: 'of a sandbox whose label is its image’s',
      change: (inspect) => (inspect.Name = '/k8s_POD_a_b_c_0'),
    },
    { desc: 'of another container', change: (inspect) => (inspect.Id = 'f'.repeat(64)) },
    { desc: 'of a sandbox that does not run', change: ({ State }) => (State.Pid = 0) },
  ])('is left alone: $desc', async ({ change }) => {
    change(sandbox);
    await keepResolvConf(sandbox);
    expect(text()).toBe(OTHER);
  });

  it('is left alone where no DNS was asked for', async () => {
    sandbox.Config.Labels!['io.dockbridge.cri'] =
      recordedInspect('sandbox-running').Config.Labels!['io.dockbridge.cri']!;
    await keepResolvConf(sandbox);
    expect(text()).toBe(OTHER);
  });

  it('is no link to another file', async () => {
    const target = join(root, 'passwd');
    writeFileSync(target, OTHER);
    rmSync(path);
    symlinkSync(target, path);
    await expect(keepResolvConf(sandbox)).rejects.toThrow(/ELOOP/);
    expect(readFileSync(target, 'utf8')).toBe(OTHER);
  });
});
