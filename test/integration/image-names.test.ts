import type { cri, Decoded } from '../../src/proto';
import type { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost, TEST_IMAGE, USER_IMAGE } from './support/engine';
import { containerStatus, createContainer, FOREVER, freshConfig, startPodTest } from './support/pods';

let test: TestDaemon;
let pod: string;
const TAGS = ['dockbridge.test/a-name:1', 'dockbridge.test/named:1', 'dockbridge.test/z-name:1'];
beforeAll(async () => {
  ({ test, pod } = await startPodTest());
});
afterAll(async () => {
  await test.stop();
  for (const name of TAGS)
    await engineCall(sharedDockerHost(), 'DELETE', `/images/${encodeURIComponent(name)}`).catch(
      () => undefined,
    );
});

const imageStatus = async (image: string): Promise<Decoded<cri.IImage> | null> =>
  (await test.client.call('ImageStatus', { image: { image } })).image;

/** Gives an image another name, as `docker tag` does. Resolves once the name is known. */
async function tag(image: string, name: string): Promise<void> {
  const [repo = '', version = ''] = name.split(':');
  await engineCall(
    sharedDockerHost(),
    'POST',
    `/images/${encodeURIComponent(image)}/tag?repo=${repo}&tag=${version}`,
  );
  const wanted = await imageStatus(image);
  while ((await imageStatus(name))?.id !== wanted?.id);
}

async function untag(name: string): Promise<void> {
  await engineCall(sharedDockerHost(), 'DELETE', `/images/${encodeURIComponent(name)}`);
  while ((await imageStatus(name)) !== null);
}

it("a container keeps its pod's name of the image, whatever happens to the tag", async () => {
  const [before = '', name = '', after = ''] = TAGS;
  const id = (await imageStatus(USER_IMAGE))?.id ?? '';
  for (const one of TAGS) await tag(USER_IMAGE, one);
  const image = { image: id, user_specified_image: name };
  const byKubelet = await createContainer(test, pod, freshConfig(FOREVER, { image }));
  const byName = await createContainer(test, pod, freshConfig(FOREVER, { image: { image: name } }));
  const expectNamed = async (): Promise<void> => {
    for (const container of [byKubelet, byName]) {
      const status = await containerStatus(test, container);
      expect(status).toMatchObject({ image: { image: name }, image_id: id });
      const { containers } = await test.client.call('ListContainers', { filter: { id: container } });
      expect(containers[0]).toMatchObject({ image: { image: name }, image_id: id });
    }
    for (const asked of [id, USER_IMAGE]) expect((await imageStatus(asked))?.spec?.image).toBe(name);
    const { images } = await test.client.call('ListImages', { filter: { image: { image: id } } });
    expect(images.map(({ spec }) => spec?.image)).toEqual([name]);
  };
  await expectNamed();
  await tag(TEST_IMAGE, name);
  await expectNamed();
  await untag(name);
  await untag(before);
  await untag(after);
  await expectNamed();
  await test.restart();
  await test.synced();
  await expectNamed();
});
