import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { until } from '../unit/support/async';
import type { TestDaemon } from './support/daemon';
import { engineBytes, engineCall, sharedDockerHost, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import { dockerImages, startImageTest, tarOf, type TestImages } from './support/images';
import { containerConfig, createContainer, FOREVER, output, runPod, startedContainer } from './support/pods';
import type { TestRegistry } from './support/registry';

describe('images', () => {
  let test: TestDaemon;
  let registry: TestRegistry;
  let images: TestImages;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    ({ test, registry, images, stop } = await startImageTest());
  });
  afterAll(() => stop());

  describe('in a status request', () => {
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

    it('are missing from the answer, without an error, if they do not exist', async () => {
      for (const name of ['absent.test/x:1', `sha256:${'f'.repeat(64)}`, 'f'.repeat(12)]) {
        expect(await images.status(name)).toBeNull();
        expect(await images.list(name)).toEqual([]);
      }
    });

    it('are refused under invalid names', async () => {
      await expectFailure(images.status(''), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(images.status('UPPER/Case:tag'), 'INVALID_ARGUMENT', /image\.image/);
      await expectFailure(test.client.call('ImageStatus', {}), 'INVALID_ARGUMENT', /image/);
      await expectFailure(images.list('a b'), 'INVALID_ARGUMENT', /filter\.image\.image/);
    });

    it('are reported with their user as a number or a name', async () => {
      expect(Number((await images.status(USER_IMAGE))?.uid?.value)).toBe(1000);
      expect((await images.status(USER_IMAGE))?.username).toBe('');
      expect(await images.status(TEST_IMAGE)).toMatchObject({ uid: null, username: '' });
      const { id } = await images.make({ changes: ['USER nobody:nogroup'] });
      expect(await images.status(id)).toMatchObject({ uid: null, username: 'nobody' });
    });

    it('have more data when verbose', async () => {
      const { info } = await test.client.call('ImageStatus', { image: { image: USER_IMAGE }, verbose: true });
      expect(JSON.parse(info.info ?? '')).toMatchObject({
        labels: { 'dockbridge.test.recipe': expect.any(String) as string },
        imageSpec: { os: 'linux', config: { User: '1000:1000', Cmd: ['sh'] } },
      });
    });

    it('are listed by their repository, whatever their tags', async () => {
      const { id } = await images.make();
      const { id: other } = await images.make();
      await dockerImages('POST', `${id}/tag?repo=made.test/bare&tag=1`);
      await dockerImages('POST', `${other}/tag?repo=made.test/bare&tag=2`);
      for (const name of ['made.test/bare:1', 'made.test/bare:2'])
        await images.untilStatus(name, (found) => found !== null);
      expect((await images.list('made.test/bare')).map((image) => image.id).sort()).toEqual(
        [id, other].sort(),
      );
      expect((await images.list('made.test/bare:1')).map((image) => image.id)).toEqual([id]);
      expect(await images.list('made.test/ba')).toEqual([]);
    });

    it('are pinned when pods are made from them', async () => {
      await runPod(test);
      expect((await images.status('dockbridge.local/pause:1'))?.pinned).toBe(true);
      expect((await images.status(TEST_IMAGE))?.pinned).toBe(false);
    });

    it('are pinned while a foreign container uses them', async () => {
      const { id } = await images.make({ changes: ['CMD ["/file"]'] });
      expect((await images.status(id))?.pinned).toBe(false);
      const Id = await foreignContainer(id);
      await images.untilStatus(id, (image) => image?.pinned === true);
      await expectFailure(images.remove(id), 'FAILED_PRECONDITION', Id);
      // Containers that are older than the daemon pin their images too.
      await test.restart();
      expect((await images.status(id))?.pinned).toBe(true);
      expect((await images.list()).find((image) => image.id === id)?.pinned).toBe(true);
      await engineCall(sharedDockerHost(), 'DELETE', `/containers/${Id}`);
      await images.untilStatus(id, (image) => image?.pinned === false);
      await images.remove(id);
    });
  });

  describe('in a remove request', () => {
    it('are removed with all their tags', async () => {
      const { name, id } = await images.make();
      await dockerImages('POST', `${id}/tag?repo=made.test/second&tag=a`);
      await dockerImages('POST', `${id}/tag?repo=made.test/third&tag=b`);
      await images.untilStatus(id, (found) => found?.repo_tags.length === 3);
      await images.remove(id);
      for (const gone of [id, name, 'made.test/second:a', 'made.test/third:b'])
        expect(await images.status(gone)).toBeNull();
      expect((await images.list()).map((image) => image.id)).not.toContain(id);
    });

    it('are removed without an error by simultaneous and repeated calls, even if they do not exist', async () => {
      const { name, id } = await images.make();
      await Promise.all([images.remove(id), images.remove(name), images.remove(id), images.remove(name)]);
      expect(await images.status(id)).toBeNull();
      await images.remove(id);
      await images.remove('absent.test/x:1');
    });

    it('are removed for CRI even if the Engine keeps them as parents of others', async () => {
      const { name, id } = await images.make({ changes: ['CMD ["/file"]'] });
      const container = await foreignContainer(id);
      await engineCall(
        sharedDockerHost(),
        'POST',
        `/commit?container=${container}&repo=made.test/child&tag=1`,
      );
      await engineCall(sharedDockerHost(), 'DELETE', `/containers/${container}`);
      await images.untilStatus('made.test/child:1', (image) => image !== null);
      await images.untilStatus(id, (image) => image?.pinned === false);
      await images.remove(name);
      expect(await images.status(id)).toBeNull();
      expect(await images.status('made.test/child:1')).not.toBeNull();
    });

    it('are kept with all names while a container uses them', async () => {
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

  it('that others change are updated without a request', async () => {
    const { name, id } = await images.make();
    const listed = async (): Promise<string[]> =>
      (await images.list()).flatMap((image) => (image.id === id ? image.repo_tags : [])).sort();
    const { images: known } = test.daemon.store;
    const seen = async (reference: string, isThere: boolean): Promise<void> => {
      const isKnown = (): boolean => (known.byName(reference) ?? known.get(reference)) !== undefined;
      await until(() => isKnown() === isThere, `${reference} in the store: ${isThere}`);
      expect((await images.status(reference)) !== null).toBe(isThere);
    };
    const archive = await engineBytes(sharedDockerHost(), `/images/${name}/get`);

    await dockerImages('POST', `${id}/tag?repo=made.test/renamed&tag=x`);
    await seen('made.test/renamed:x', true);
    expect(await listed()).toEqual([name, 'made.test/renamed:x'].sort());
    await dockerImages('DELETE', 'made.test/renamed:x');
    await seen('made.test/renamed:x', false);
    expect(await listed()).toEqual([name]);
    await dockerImages('DELETE', name);
    await seen(id, false);
    expect(await listed()).toEqual([]);
    await engineCall(sharedDockerHost(), 'POST', '/images/load', { tar: archive });
    await seen(name, true);
    expect(await listed()).toEqual([name]);
  });

  describe('on disk, as ImageFsInfo reports them,', () => {
    const usage = async () => {
      const { image_filesystems, container_filesystems } = await test.client.call('ImageFsInfo', {});
      expect([image_filesystems.length, container_filesystems.length]).toEqual([1, 1]);
      return { images: image_filesystems[0]!, containers: container_filesystems[0]! };
    };

    it('have a directory, and the inodes of that file system', async () => {
      const { images: ofImages, containers } = await usage();
      const { DockerRootDir } = (await engineCall(sharedDockerHost(), 'GET', '/info')) as {
        DockerRootDir: string;
      };
      const mountpoint = ofImages.fs_id?.mountpoint ?? '';
      expect(mountpoint.startsWith(`${DockerRootDir}/`)).toBe(true);
      // This is the directory of the layers, which contains the layer of a running container.
      const pod = await runPod(test);
      const { pid } = test.daemon.store.sandboxes.get(pod)!;
      const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8');
      expect(mounts.split('\n').find((line) => line.includes(' / / '))).toContain(mountpoint);
      expect(containers.fs_id?.mountpoint).toBe(mountpoint);
      for (const { timestamp, inodes_used } of [ofImages, containers]) {
        expect(Math.abs(Number(timestamp.toBigInt() / 1_000_000n) - Date.now())).toBeLessThan(10_000);
        expect(inodes_used?.value.greaterThan(0)).toBe(true);
      }
    });

    it('have each layer counted once, and what containers have written counted separately', async () => {
      const MIB = 1024 * 1024;
      const measured = async (): Promise<{ ofImages: number; ofContainers: number }> => {
        // A daemon that starts measures at once.
        await test.restart();
        await until(() => test.daemon.store.diskUsage !== undefined, 'the measurement of the disk');
        const { images: ofImages, containers } = await usage();
        return {
          ofImages: Number(ofImages.used_bytes?.value),
          ofContainers: Number(containers.used_bytes?.value),
        };
      };
      const script = `dd if=/dev/zero of=/data bs=1M count=16 && touch /done && ${FOREVER}`;
      const id = await startedContainer(test, await runPod(test), containerConfig('writer', script));
      await output(test, id, 'until [ -e /done ]; do sleep 0.1; done');
      const before = await measured();
      expect(before.ofContainers).toBeGreaterThanOrEqual(16 * MIB);
      // Two images have the same large layer. (The Engine may remove leftovers of earlier tests meanwhile.)
      const { id: base } = await images.make({
        tar: await tarOf(randomBytes(8 * MIB)),
        changes: ['CMD ["/file"]'],
      });
      const committed = await foreignContainer(base);
      await engineCall(
        sharedDockerHost(),
        'POST',
        `/commit?container=${committed}&repo=made.test/commit&tag=1`,
      );
      await engineCall(sharedDockerHost(), 'DELETE', `/containers/${committed}`);
      const both = await Promise.all(
        ['made.test/commit:1', base].map((name) => images.untilStatus(name, (found) => found !== null)),
      );
      const sizes = both.map((image) => Number(image!.size));
      for (const size of sizes) expect(size).toBeGreaterThanOrEqual(8 * MIB);
      const after = await measured();
      expect(after.ofImages).toBeGreaterThanOrEqual(8 * MIB);
      // The containerd store keeps a layer both packed and unpacked.
      const copies = test.daemon.store.engine?.containerdStore === true ? 2 : 1;
      expect(after.ofImages - before.ofImages).toBeLessThan((copies + 0.5) * 8 * MIB);
    });
  });
});

/** Makes a container as `docker create` does. @returns its id. */
async function foreignContainer(Image: string): Promise<string> {
  const made = await engineCall(sharedDockerHost(), 'POST', '/containers/create', { json: { Image } });
  return (made as { Id: string }).Id;
}
