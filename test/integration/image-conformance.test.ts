import type { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import { startImageTest, type TestImages } from './support/images';
import { containerConfig, containerStatus, createContainer, podConfig, runPod } from './support/pods';
import type { TestRegistry } from './support/registry';

/**
 * critest's requirements for images ("Image Manager", "image consistency", "image id consistency",
 * idempotence), restated here because critest itself needs images of public registries.
 */
describe('image conformance', () => {
  let test: TestDaemon;
  let registry: TestRegistry;
  let images: TestImages;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    ({ test, registry, images, stop } = await startImageTest());
  });
  afterAll(() => stop());

  /** Makes an image that only the registry has, under all these names. @returns its references. */
  const pushed = async (...names: string[]): Promise<string[]> => {
    const { id } = await images.make({ changes: ['CMD ["/file"]'] });
    const references: string[] = [];
    for (const name of names) references.push(await registry.push(id, name));
    await images.remove(id);
    return references;
  };

  it.each([
    { desc: 'with a tag', name: 'tagged:test' },
    { desc: 'without a tag', name: 'untagged:latest' },
  ])('an image $desc is pulled, has exactly its tag, and is removed by id', async ({ name }) => {
    const [reference = ''] = await pushed(name);
    await images.pull(reference.replace(/:latest$/, ''));
    const image = await images.status(reference);
    expect(image).toMatchObject({ id: expect.stringMatching(/./) as string, repo_tags: [reference] });
    expect(image?.size.isZero()).toBe(false);
    await images.remove(image!.id);
    expect(await images.status(reference)).toBeNull();
  });

  it('a pull that times out leaves a server that still works', async () => {
    const [reference = ''] = await pushed('timed:test');
    const call = test.client.call('PullImage', { image: { image: reference } }, 1);
    await expectFailure(call, 'DEADLINE_EXCEEDED');
    expect(await images.pull(reference)).toBe((await images.status(reference))?.id);
  });

  it('an image by digest has no tags, and exactly its digest', async () => {
    await pushed('digest:test');
    const { digest } = await registry.manifest('digest', 'test');
    const reference = `${registry.host}/digest@${digest}`;
    await images.pull(reference);
    expect(await images.status(reference)).toMatchObject({ repo_tags: [], repo_digests: [reference] });
    await images.remove(reference);
    expect(await images.status(reference)).toBeNull();
  });

  it('all kinds of references give the same image', async () => {
    const [reference = ''] = await pushed('references:all');
    await images.pull(reference);
    const image = await images.status(reference);
    for (const name of [image!.id, ...image!.repo_tags, ...image!.repo_digests])
      expect(await images.status(name)).toEqual(image);
    expect(image!.repo_digests).toHaveLength(1);
  });

  it.each([
    { user: '1002', uid: 1002, username: '' },
    { user: 'www-data', uid: 0, username: 'www-data' },
    { user: '1003:1004', uid: 1003, username: '' },
    { user: 'www-data:1004', uid: 0, username: 'www-data' },
  ])('USER $user has uid $uid and the name "$username"', async ({ user, uid, username }) => {
    const { id } = await images.make({ changes: [`USER ${user}`] });
    const reference = await registry.push(id, `user-${user.replace(':', '-')}:latest`);
    await images.remove(id);
    await images.pull(reference);
    const image = await images.status(reference);
    expect([Number(image?.uid?.value ?? 0), image?.username]).toEqual([uid, username]);
  });

  it('three images stay separate, each with its one tag', async () => {
    const references = [
      ...(await pushed('one:latest')),
      ...(await pushed('two:latest')),
      ...(await pushed('three:latest')),
    ];
    const ids = new Map<string, string>();
    for (const reference of references) ids.set(await images.pull(reference), reference);
    expect(ids.size).toBe(3);
    const listed = await images.list();
    for (const [id, reference] of ids)
      expect(listed.filter((image) => image.id === id)).toMatchObject([{ repo_tags: [reference] }]);
  });

  it('three tags of one image are one image, and are removed together with its id', async () => {
    const references = await pushed('tags:1', 'tags:2', 'tags:3');
    const ids = new Set<string>();
    for (const reference of references) ids.add(await images.pull(reference));
    const [id = ''] = ids;
    expect(ids.size).toBe(1);
    const listed = (await images.list()).filter((image) => image.id === id);
    expect(listed.map(({ repo_tags }) => [...repo_tags].sort())).toEqual([[...references].sort()]);
    await images.remove((await images.status(references[0]!))!.id);
    for (const name of [id, ...references]) expect(await images.status(name)).toBeNull();
  });

  it('the same image from two registries is one image, has one id in all answers, and is removed completely', async () => {
    const [reference = ''] = await pushed('pause:3.9');
    // The same registry under another name.
    const other = reference.replace('127.0.0.1', 'localhost');
    const id = await images.pull(reference);
    expect(await images.pull(other)).toBe(id);
    for (const name of [reference, other])
      expect(await images.status(name)).toMatchObject({ id, repo_tags: expect.any(Array) as string[] });
    expect([...(await images.status(id))!.repo_tags].sort()).toEqual([reference, other].sort());
    await images.remove(id);
    for (const name of [id, reference, other]) expect(await images.status(name)).toBeNull();
  });

  it('an image is listed and has a status right after a pull, and neither right after a removal', async () => {
    const [reference = ''] = await pushed('consistent:test');
    const id = await images.pull(reference);
    expect((await images.list()).map((image) => image.id)).toContain(id);
    expect(await images.status(id)).not.toBeNull();
    await images.remove(id);
    expect((await images.list()).map((image) => image.id)).not.toContain(id);
    expect(await images.status(id)).toBeNull();
  });

  it('five simultaneous removals all succeed, and after each there is no status', async () => {
    const [reference = ''] = await pushed('removed:test');
    const id = await images.pull(reference);
    const removeAndLook = async (): Promise<unknown> => {
      await images.remove(id);
      return images.status(id);
    };
    expect(await Promise.all([1, 2, 3, 4, 5].map(removeAndLook))).toEqual([null, null, null, null, null]);
  });

  it('the removal of an unknown image succeeds, twice', async () => {
    for (let time = 0; time < 2; time++) await images.remove('0'.repeat(64));
    expect(await images.status('0'.repeat(64))).toBeNull();
  });

  it('the pull, the image and the container report the same image id', async () => {
    const [reference = ''] = await pushed('same-id:test');
    const id = await images.pull(reference);
    expect((await images.status(reference))?.id).toBe(id);
    const sandbox = podConfig(test);
    const { command: _, ...plain } = containerConfig('same', '');
    const image = { image: id, user_specified_image: reference };
    const container_id = await createContainer(test, await runPod(test, sandbox), { ...plain, image });
    const created = await containerStatus(test, container_id);
    expect(created).toMatchObject({ image_id: id, image: { user_specified_image: reference } });
    const { containers } = await test.client.call('ListContainers', { filter: { id: container_id } });
    expect(containers).toMatchObject([{ image_id: id }]);
    // After a restart, the answer comes from the container itself, not from the record of its creation.
    await test.restart();
    expect(await containerStatus(test, container_id)).toMatchObject({ image_id: id });
    await test.client.call('RemoveContainer', { container_id });
  });
});
