import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { cri, Decoded } from '../../src/proto';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { containerConfig, createContainer, runPod } from './support/pods';
import { CREDENTIALS, TestRegistry } from './support/registry';

type Image = Decoded<cri.IImage>;
const run = promisify(execFile);

describe('Images', () => {
  let test: TestDaemon;
  let registry: TestRegistry;
  let tar: Buffer;
  let count = 0;
  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-image-'));
    await writeFile(join(directory, 'file'), 'content');
    const { stdout } = await run('tar', ['-C', directory, '-c', 'file'], { encoding: 'buffer' });
    tar = stdout;
    await rm(directory, { recursive: true });
    registry = await TestRegistry.start();
    test = await TestDaemon.start();
  });
  afterAll(async () => {
    const { images } = await test.client.call('ListImages', {});
    const ours = images.filter(({ repo_tags }) =>
      repo_tags.some((tag) => /^(made\.test|127\.0\.0\.1:\d+)\//.test(tag)),
    );
    for (const { id } of ours) await test.client.call('RemoveImage', { image: { image: id } });
    await test.stop();
    await registry.stop();
  });

  const docker = (method: 'POST' | 'DELETE', path: string): Promise<unknown> =>
    engineCall(sharedDockerHost(), method, `/images/${path}`);
  const status = async (image: string): Promise<Image | null> =>
    (await test.client.call('ImageStatus', { image: { image } })).image;
  const list = async (image?: string): Promise<Image[]> =>
    (await test.client.call('ListImages', image === undefined ? {} : { filter: { image: { image } } }))
      .images;
  const remove = (image: string): Promise<unknown> => test.client.call('RemoveImage', { image: { image } });
  const pull = async (image: string, auth?: cri.IAuthConfig): Promise<string> =>
    (await test.client.call('PullImage', { image: { image }, ...(auth && { auth }) })).image_ref;
  /** Asks again until it is so: the Engine's event needs a moment, and nothing else tells of it. */
  const untilStatus = async (
    name: string,
    accept: (image: Image | null) => boolean,
  ): Promise<Image | null> => {
    const end = Date.now() + 2000;
    for (;;) {
      const image = await status(name);
      if (accept(image)) return image;
      if (Date.now() > end) throw new Error(`ImageStatus of ${name} does not get there within 2 s`);
    }
  };
  /** A new image, made behind our back and seen by us. */
  const made = async (...changes: string[]): Promise<{ name: string; id: string }> => {
    const repo = `made.test/image-${++count}`;
    const query = [`LABEL n=${process.pid}-${count}`, ...changes]
      .map((change) => `&changes=${encodeURIComponent(change)}`)
      .join('');
    await engineCall(sharedDockerHost(), 'POST', `/images/create?fromSrc=-&repo=${repo}&tag=1${query}`, {
      tar,
    });
    const image = await untilStatus(`${repo}:1`, (found) => found !== null);
    return { name: `${repo}:1`, id: image!.id };
  };

  describe('looked up', () => {
    it('are the same by id, prefix, tag and digest', async () => {
      const { id } = await made();
      const reference = await registry.push(id, 'lookup:1');
      const image = await untilStatus(reference, (found) => (found?.repo_digests.length ?? 0) > 0);
      expect(image).toMatchObject({ id, spec: { image: expect.any(String) as string } });
      expect(image!.repo_digests[0]).toMatch(/\/lookup@sha256:[0-9a-f]{64}$/);
      expect(image!.size.greaterThan(0)).toBe(true);
      const hex = id.slice('sha256:'.length);
      for (const name of [id, hex, hex.slice(0, 12), id.slice(0, 20), image!.repo_digests[0]!])
        expect(await status(name)).toEqual(image);
      expect(await list(hex.slice(0, 12))).toEqual([image]);
      expect((await list()).filter((each) => each.id === id)).toEqual([image]);
    });

    it('that are absent are unset, not an error', async () => {
      for (const name of ['absent.test/x:1', `sha256:${'f'.repeat(64)}`, 'f'.repeat(12)]) {
        expect(await status(name)).toBeNull();
        expect(await list(name)).toEqual([]);
      }
    });

    it('are refused under names that are none', async () => {
      await expectFailure(status(''), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(status('UPPER/Case:tag'), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(test.client.call('ImageStatus', {}), 'INVALID_ARGUMENT', /image/);
      await expectFailure(list('a b'), 'INVALID_ARGUMENT', /filter\.image\.image/);
    });

    it('tell their user as a number or a name', async () => {
      expect(Number((await status(USER_IMAGE))?.uid?.value)).toBe(1000);
      expect((await status(USER_IMAGE))?.username).toBe('');
      expect(await status(TEST_IMAGE)).toMatchObject({ uid: null, username: '' });
      const { id } = await made('USER nobody:nogroup');
      expect(await status(id)).toMatchObject({ uid: null, username: 'nobody' });
    });

    it('say more when verbose', async () => {
      const { info } = await test.client.call('ImageStatus', { image: { image: USER_IMAGE }, verbose: true });
      expect(JSON.parse(info.info ?? '')).toMatchObject({ user: '1000:1000' });
    });

    it('are pinned when pods are made of them', async () => {
      await runPod(test);
      expect((await status('dockbridge.local/pause:1'))?.pinned).toBe(true);
      expect((await status(TEST_IMAGE))?.pinned).toBe(false);
    });
  });

  describe('removed', () => {
    it('go with all their tags, whichever name is given', async () => {
      const { name, id } = await made();
      await docker('POST', `${id}/tag?repo=made.test/second&tag=a`);
      await docker('POST', `${id}/tag?repo=made.test/third&tag=b`);
      await untilStatus(id, (found) => found?.repo_tags.length === 3);
      await remove(id);
      for (const gone of [id, name, 'made.test/second:a', 'made.test/third:b'])
        expect(await status(gone)).toBeNull();
      expect((await list()).map((image) => image.id)).not.toContain(id);
    });

    it('again, by several at once, or when absent, are gone all the same', async () => {
      const { name, id } = await made();
      await Promise.all([remove(id), remove(name), remove(id), remove(name)]);
      expect(await status(id)).toBeNull();
      await remove(id);
      await remove('absent.test/x:1');
    });

    it('are refused whole while a container uses them', async () => {
      const { name, id } = await made('CMD ["/file"]');
      const config = { ...containerConfig('user', ''), image: { image: id } };
      const container_id = await createContainer(test, await runPod(test), config);
      await expectFailure(remove(name), 'FAILED_PRECONDITION', container_id);
      expect((await status(id))?.repo_tags).toEqual([name]);
      await test.client.call('RemoveContainer', { container_id });
      await remove(name);
      expect(await status(id)).toBeNull();
    });
  });

  it('changed behind our back are seen', async () => {
    const { name, id } = await made();
    await docker('POST', `${id}/tag?repo=made.test/renamed&tag=x`);
    const image = await untilStatus('made.test/renamed:x', (found) => found !== null);
    expect([...image!.repo_tags].sort()).toEqual([name, 'made.test/renamed:x'].sort());
    await docker('DELETE', 'made.test/renamed:x');
    await untilStatus('made.test/renamed:x', (found) => found === null);
    expect((await status(id))?.repo_tags).toEqual([name]);
    await docker('DELETE', name);
    await untilStatus(id, (found) => found === null);
  });

  describe('pulled', () => {
    it('have the id that everything else calls them by', async () => {
      const { id } = await made();
      const reference = await registry.push(id, 'pulled:1');
      await remove(id);
      expect(await status(reference)).toBeNull();
      const image_ref = await pull(reference);
      expect(image_ref).toBe(id);
      const image = await status(reference);
      expect(image).toMatchObject({ id, repo_tags: [reference] });
      expect(await pull(reference)).toBe(id);
      expect(await pull(image!.repo_digests[0]!)).toBe(id);
      expect(await pull(id)).toBe(id);
      const config = { ...containerConfig('pulled', ''), image: { image: image_ref }, command: ['/file'] };
      const container_id = await createContainer(test, await runPod(test), config);
      const { status: container } = await test.client.call('ContainerStatus', { container_id });
      expect(container).toMatchObject({ image_id: id, image_ref: image!.repo_digests[0] });
      await test.client.call('RemoveContainer', { container_id });
    });

    it('by several at once are one image', async () => {
      const { id } = await made();
      const reference = await registry.push(id, 'many:1');
      await remove(id);
      expect(new Set(await Promise.all([1, 2, 3, 4].map(() => pull(reference))))).toEqual(new Set([id]));
    });

    it('with the credentials that the registry wants, in either form', async () => {
      const { id } = await made();
      const reference = await registry.push(id, 'private/app:1', registry.privateHost);
      const { username, password } = CREDENTIALS;
      for (const auth of [
        { username, password },
        { auth: Buffer.from(`${username}:${password}`).toString('base64') },
      ]) {
        await remove(id);
        await expect(pull(reference)).rejects.toMatchObject({ details: expect.any(String) as string });
        await expect(pull(reference, { username, password: 'wrong' })).rejects.toBeDefined();
        expect(await status(reference)).toBeNull();
        expect(await pull(reference, auth)).toBe(id);
      }
      const broken = Buffer.from('no colon').toString('base64');
      await expectFailure(pull(reference, { auth: broken }), 'INVALID_ARGUMENT', /auth\.auth/);
    });

    it('fail with their name when absent, and with the field when it is no name', async () => {
      const absent = `${registry.host}/absent:1`;
      await expect(pull(absent)).rejects.toMatchObject({
        details: expect.stringContaining(absent) as string,
      });
      await expectFailure(pull('UPPER/Case'), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(pull(''), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(pull(`sha256:${'f'.repeat(64)}`), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(
        test.client.call('PullImage', { image: { image: absent, runtime_handler: 'kata' } }),
        'INVALID_ARGUMENT',
        /runtime_handler/,
      );
    });
  });

  it('take space, of which ImageFsInfo tells', async () => {
    const { image_filesystems } = await test.client.call('ImageFsInfo', {});
    expect(image_filesystems).toHaveLength(1);
    const [filesystem] = image_filesystems;
    const { DockerRootDir } = (await engineCall(sharedDockerHost(), 'GET', '/info')) as {
      DockerRootDir: string;
    };
    expect(filesystem!.fs_id?.mountpoint).toBe(DockerRootDir);
    expect(Math.abs(Number(filesystem!.timestamp.toBigInt() / 1_000_000n) - Date.now())).toBeLessThan(10_000);
    expect(filesystem!.used_bytes?.value.greaterThan(0)).toBe(true);
    expect(filesystem!.inodes_used?.value.greaterThan(0)).toBe(true);
  });
});
