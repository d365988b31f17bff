import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { dockerImages, TestImages } from './support/images';
import { containerConfig, createContainer, runPod } from './support/pods';
import { TestRegistry } from './support/registry';

describe('Images', () => {
  let test: TestDaemon;
  let registry: TestRegistry;
  let images: TestImages;
  beforeAll(async () => {
    registry = await TestRegistry.start();
    test = await TestDaemon.start();
    images = await TestImages.of(test);
  });
  afterAll(async () => {
    await images.removeMade();
    await test.stop();
    await registry.stop();
  });

  describe('looked up', () => {
    it('are the same by id, prefix, tag and digest', async () => {
      const { id } = await images.make();
      const reference = await registry.push(id, 'lookup:1');
      const image = await images.untilStatus(reference, (found) => (found?.repo_digests.length ?? 0) > 0);
      expect(image).toMatchObject({ id, spec: { image: expect.any(String) as string } });
      expect(image!.repo_digests[0]).toMatch(/\/lookup@sha256:[0-9a-f]{64}$/);
      expect(image!.size.greaterThan(0)).toBe(true);
      const hex = id.slice('sha256:'.length);
      for (const name of [id, hex, hex.slice(0, 12), id.slice(0, 20), image!.repo_digests[0]!])
        expect(await images.status(name)).toEqual(image);
      expect(await images.list(hex.slice(0, 12))).toEqual([image]);
      expect((await images.list()).filter((each) => each.id === id)).toEqual([image]);
    });

    it('that are absent are unset, not an error', async () => {
      for (const name of ['absent.test/x:1', `sha256:${'f'.repeat(64)}`, 'f'.repeat(12)]) {
        expect(await images.status(name)).toBeNull();
        expect(await images.list(name)).toEqual([]);
      }
    });

    it('are refused under names that are none', async () => {
      await expectFailure(images.status(''), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(images.status('UPPER/Case:tag'), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(test.client.call('ImageStatus', {}), 'INVALID_ARGUMENT', /image/);
      await expectFailure(images.list('a b'), 'INVALID_ARGUMENT', /filter\.image\.image/);
    });

    it('tell their user as a number or a name', async () => {
      expect(Number((await images.status(USER_IMAGE))?.uid?.value)).toBe(1000);
      expect((await images.status(USER_IMAGE))?.username).toBe('');
      expect(await images.status(TEST_IMAGE)).toMatchObject({ uid: null, username: '' });
      const { id } = await images.make({ changes: ['USER nobody:nogroup'] });
      expect(await images.status(id)).toMatchObject({ uid: null, username: 'nobody' });
    });

    it('say more when verbose', async () => {
      const { info } = await test.client.call('ImageStatus', { image: { image: USER_IMAGE }, verbose: true });
      expect(JSON.parse(info.info ?? '')).toMatchObject({ user: '1000:1000' });
    });

    it('are pinned when pods are made of them', async () => {
      await runPod(test);
      expect((await images.status('dockbridge.local/pause:1'))?.pinned).toBe(true);
      expect((await images.status(TEST_IMAGE))?.pinned).toBe(false);
    });
  });

  describe('removed', () => {
    it('go with all their tags, whichever name is given', async () => {
      const { name, id } = await images.make();
      await dockerImages('POST', `${id}/tag?repo=made.test/second&tag=a`);
      await dockerImages('POST', `${id}/tag?repo=made.test/third&tag=b`);
      await images.untilStatus(id, (found) => found?.repo_tags.length === 3);
      await images.remove(id);
      for (const gone of [id, name, 'made.test/second:a', 'made.test/third:b'])
        expect(await images.status(gone)).toBeNull();
      expect((await images.list()).map((image) => image.id)).not.toContain(id);
    });

    it('again, by several at once, or when absent, are gone all the same', async () => {
      const { name, id } = await images.make();
      await Promise.all([images.remove(id), images.remove(name), images.remove(id), images.remove(name)]);
      expect(await images.status(id)).toBeNull();
      await images.remove(id);
      await images.remove('absent.test/x:1');
    });

    it('are refused whole while a container uses them', async () => {
      const { name, id } = await images.make({ changes: ['CMD ["/file"]'] });
      const config = { ...containerConfig('user', ''), image: { image: id } };
      const container_id = await createContainer(test, await runPod(test), config);
      await expectFailure(images.remove(name), 'FAILED_PRECONDITION', container_id);
      expect((await images.status(id))?.repo_tags).toEqual([name]);
      await test.client.call('RemoveContainer', { container_id });
      await images.remove(name);
      expect(await images.status(id)).toBeNull();
    });
  });

  it('changed behind our back are seen', async () => {
    const { name, id } = await images.make();
    await dockerImages('POST', `${id}/tag?repo=made.test/renamed&tag=x`);
    const image = await images.untilStatus('made.test/renamed:x', (found) => found !== null);
    expect([...image!.repo_tags].sort()).toEqual([name, 'made.test/renamed:x'].sort());
    await dockerImages('DELETE', 'made.test/renamed:x');
    await images.untilStatus('made.test/renamed:x', (found) => found === null);
    expect((await images.status(id))?.repo_tags).toEqual([name]);
    await dockerImages('DELETE', name);
    await images.untilStatus(id, (found) => found === null);
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
