import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NamespaceMode } from '../../src/proto/enums';
import { CriClient } from '../../src/server/client/cri-client';
import { Command } from './support/command';
import { ContainerdNode } from './support/containerd-node';
import {
  engineCall,
  engineGet,
  sharedDockerHost,
  startPrivateEngine,
  TEST_IMAGE,
  USER_IMAGE,
  type PrivateEngine,
} from './support/engine';
import { tarOf } from './support/images';

/** The command of this image never ends, which a sandbox needs. */
const PAUSE = 'migrate.test/pause:1';
const LARGE = 'migrate.test/large:1';
const LARGE_BYTES = 192 * 1024 * 1024;
const ENGINE = process.env.DOCKBRIDGE_TEST_ENGINE ?? '';
const HAS_CONTAINERD_STORE = ENGINE === '29' || ENGINE.endsWith('-containerd');
const PATIENCE_MS = 300_000;

interface EngineImage {
  readonly Id: string;
  readonly Size: number;
}

async function engineImage(dockerHost: string, name: string): Promise<EngineImage> {
  return (await engineGet(dockerHost, `/images/${name}/json`)) as EngineImage;
}

/** Makes PAUSE from TEST_IMAGE, with a command that never ends. */
async function makePause(dockerHost: string): Promise<void> {
  const body = { json: { Image: TEST_IMAGE, Cmd: ['true'] } };
  const { Id } = (await engineCall(dockerHost, 'POST', '/containers/create', body)) as { Id: string };
  const changes = encodeURIComponent('CMD ["sleep", "1000000"]');
  const [repo, tag] = PAUSE.split(':');
  const path = `/commit?container=${Id}&repo=${repo}&tag=${tag}&changes=${changes}`;
  await engineCall(dockerHost, 'POST', path, { json: {} });
  await engineCall(dockerHost, 'DELETE', `/containers/${Id}`);
}

async function makeLarge(dockerHost: string): Promise<void> {
  const [repo, tag] = LARGE.split(':');
  const tar = await tarOf(randomBytes(LARGE_BYTES));
  await engineCall(dockerHost, 'POST', `/images/create?fromSrc=-&repo=${repo}&tag=${tag}`, { tar });
}

function migrate(node: ContainerdNode, dockerHost: string, ...more: readonly string[]): Command {
  const to = ['--to', node.endpoint, '--docker-endpoint', dockerHost];
  return new Command(['migrate', 'images', ...to, ...more]);
}

async function carried(
  node: ContainerdNode,
  dockerHost: string,
  ...more: readonly string[]
): Promise<string> {
  const command = migrate(node, dockerHost, ...more);
  expect([await command.exit(), command.stderr]).toEqual([0, expect.anything()]);
  return command.stdout;
}

/** Runs a container of the image through CRI on the target, and returns what it writes. */
async function outputOn(node: ContainerdNode, image: string): Promise<string> {
  const client = new CriClient(node.endpoint);
  const linux = { security_context: { namespace_options: { network: NamespaceMode.NODE } } };
  const config = {
    metadata: { name: 'carried', uid: 'uid', namespace: 'default', attempt: 0 },
    ...{ log_directory: node.directory, linux },
  };
  const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
  try {
    const { container_id } = await client.call('CreateContainer', {
      ...{ pod_sandbox_id, sandbox_config: config },
      config: {
        metadata: { name: 'main', attempt: 0 },
        ...{ image: { image }, command: ['sleep', '1000'], log_path: 'main.log', linux },
      },
    });
    await client.call('StartContainer', { container_id });
    const { stdout } = await client.call('ExecSync', {
      ...{ container_id, cmd: ['cat', '/www/index.html'] },
    });
    return Buffer.from(stdout).toString();
  } finally {
    await client.call('StopPodSandbox', { pod_sandbox_id });
    await client.call('RemovePodSandbox', { pod_sandbox_id });
    client.close();
  }
}

async function criId(node: ContainerdNode, image: string): Promise<string | undefined> {
  const client = new CriClient(node.endpoint);
  try {
    return (await client.call('ImageStatus', { image: { image } })).image?.id;
  } finally {
    client.close();
  }
}

describe('dockbridge migrate images to another containerd', () => {
  const dockerHost = sharedDockerHost();
  let node: ContainerdNode;
  beforeAll(async () => {
    await makePause(dockerHost);
    node = await ContainerdNode.start({ pause: PAUSE });
  }, PATIENCE_MS);
  afterAll(async () => {
    await node.stop();
    await engineCall(dockerHost, 'DELETE', `/images/${PAUSE}?force=1`);
  }, PATIENCE_MS);

  it('prints what it would do with --dry-run, and writes nothing', async () => {
    const table = await carried(node, dockerHost, '--only-local', '--dry-run');
    expect(table).toMatch(new RegExp(`^${PAUSE} +\\S+ MB +copied from`, 'm'));
    expect(await node.ctr('content', 'ls', '--quiet')).toBe('');
    expect(await node.ctr('leases', 'ls', '--quiet')).toBe('');
  });

  it(
    'carries images under the same ids, and a container runs from one of them',
    async () => {
      expect(await carried(node, dockerHost, '--all')).toContain('and CRI answers with their ids');
      if (!HAS_CONTAINERD_STORE)
        for (const name of [TEST_IMAGE, USER_IMAGE, PAUSE])
          expect(await criId(node, name)).toBe((await engineImage(dockerHost, name)).Id);
      expect(await outputOn(node, TEST_IMAGE)).toBe('ok\n');
      expect(await node.ctr('leases', 'ls', '--quiet')).toBe('');
    },
    PATIENCE_MS,
  );

  it('keeps the images through a garbage collection', async () => {
    // Deleting a lease synchronously collects garbage.
    await node.ctr('leases', 'create', '--id', 'collect');
    await node.ctr('leases', 'rm', '--sync', 'collect');
    expect(await node.ctr('images', 'check')).not.toMatch(/incomplete|missing/);
    expect(await carried(node, dockerHost, '--all')).toMatch(/; 0 B moved\n$/);
  });

  it(
    'continues after it was killed, and moves nothing twice',
    async () => {
      await makeLarge(dockerHost);
      try {
        const killed = migrate(node, dockerHost, '--all');
        let arrived = 0;
        while (arrived < 16 * 1024 * 1024) arrived = await node.uploading();
        await killed.kill();
        expect(killed.stdout).not.toContain(LARGE);
        const kept = await node.uploading();
        expect(kept).toBeGreaterThanOrEqual(arrived);
        const stdout = await carried(node, dockerHost, '--all');
        const [, moved] = new RegExp(`^${LARGE} .*  (\\S+ \\S+) in `, 'm').exec(stdout) ?? [];
        const { Size } = await engineImage(dockerHost, LARGE);
        const [count, unit] = (moved ?? '').split(' ');
        expect(unit).toBe('MB');
        // Only the rest moves, plus the headers of the archive. The command rounds to whole megabytes.
        expect(Number(count) * 1e6).toBeLessThan(Math.max(Size, LARGE_BYTES) - kept + 2e6);
        expect(await node.uploading()).toBe(0);
        expect(await node.ctr('leases', 'ls', '--quiet')).toBe('');
        expect(await node.ctr('images', 'check', `name==${LARGE}`)).toContain('complete');
      } finally {
        await engineCall(dockerHost, 'DELETE', `/images/${LARGE}?force=1`);
      }
    },
    PATIENCE_MS,
  );

  it('says that no pod uses an image when it has nothing to do', async () => {
    const command = migrate(node, dockerHost);
    expect([await command.exit(), command.stdout]).toEqual([0, '']);
    expect(command.stderr).toContain('has no container of a pod');
  });

  it.each([
    [['--to', 'unix:///nowhere.sock'], 'no container runtime answers at unix:///nowhere.sock'],
    [['--docker-endpoint', 'unix:///nowhere.sock'], 'Docker Engine does not answer'],
    [['--all', '--only-local'], 'exclude each other'],
  ])('ends with 2 for %j', async (more, message) => {
    const command = migrate(node, dockerHost, ...more);
    expect([await command.exit(), command.stdout]).toEqual([2, '']);
    expect(command.stderr).toContain(message);
  });
});

it(
  'dockbridge migrate images carries images to a containerd without CRI, and says that it serves no CRI',
  async () => {
    const node = await ContainerdNode.start({ cri: false });
    try {
      const command = migrate(node, sharedDockerHost(), '--all');
      expect(await command.exit()).toBe(0);
      expect(command.stderr).toContain('serves no CRI');
      expect(await node.ctr('images', 'ls', '--quiet')).toContain(TEST_IMAGE);
      expect(await node.ctr('images', 'check')).not.toMatch(/incomplete|missing/);
    } finally {
      await node.stop();
    }
  },
  PATIENCE_MS,
);

const withStore = HAS_CONTAINERD_STORE ? describe : describe.skip;

withStore('dockbridge migrate images in the containerd of the Engine', () => {
  let node: ContainerdNode;
  let engine: PrivateEngine;
  beforeAll(async () => {
    node = await ContainerdNode.start({ pause: PAUSE });
    engine = await startPrivateEngine('migrate', { dockerd: ['--containerd', node.socket] });
    await makePause(engine.dockerHost);
  }, PATIENCE_MS);
  afterAll(async () => {
    await engine.destroy();
    await node.stop();
  }, PATIENCE_MS);

  it(
    'moves no bytes, and a container runs from the image',
    async () => {
      const blobs = join(node.directory, 'root/io.containerd.content.v1.content/blobs/sha256');
      const before = (await stat(blobs)).mtimeMs;
      const stdout = await carried(node, engine.dockerHost, '--all');
      expect(stdout).toMatch(new RegExp(`^${TEST_IMAGE}  shared, no bytes move  0 B in `, 'm'));
      expect((await stat(blobs)).mtimeMs).toBe(before);
      expect(await outputOn(node, TEST_IMAGE)).toBe('ok\n');
    },
    PATIENCE_MS,
  );

  it(
    'keeps the images when the Engine removes its own',
    async () => {
      for (const name of [PAUSE, USER_IMAGE, TEST_IMAGE])
        await engineCall(engine.dockerHost, 'DELETE', `/images/${name}?force=1`);
      await node.ctr('leases', 'create', '--id', 'collect');
      await node.ctr('leases', 'rm', '--sync', 'collect');
      expect(await node.ctr('images', 'check')).not.toMatch(/incomplete|missing/);
      expect(await outputOn(node, USER_IMAGE)).toBe('ok\n');
    },
    PATIENCE_MS,
  );
});
