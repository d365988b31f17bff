import { imageStatus } from '../../../../src/server/image/image-status';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { containerRecord, engineId, imageRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const ID = `sha256:${engineId('a')}`;

/** An image with two tags, for which two pods asked: one by its second tag, one by a tag that has moved on since. */
async function nameOf(asked: { image: string; user_specified_image?: string }): Promise<string | undefined> {
  const store = new WritableStore();
  store.images.put(imageRecord({ id: ID, repoTags: ['app:1', 'app:2'], repoDigests: [] }));
  const own = { image: ID, imageId: ID };
  store.containers.put(containerRecord({ id: engineId('1'), ...own, userSpecifiedImage: 'app:2' }));
  store.containers.put(containerRecord({ id: engineId('2'), ...own, userSpecifiedImage: 'app:0' }));
  const services = { store, sandboxImage: { isPinned: () => false } } as unknown as Services;
  const { image } = await imageStatus(services, decoded('ImageStatusRequest', { image: asked }));
  return image?.spec?.image ?? undefined;
}

describe('ImageStatus names the image', () => {
  it.each([
    { desc: 'as a pod asked for it', asked: { image: 'app:2' }, is: 'app:2' },
    { desc: 'as pods do where another tag of it is asked for', asked: { image: 'app:1' }, is: 'app:0' },
    { desc: 'as the user wrote it', asked: { image: ID, user_specified_image: 'app:2' }, is: 'app:2' },
    {
      desc: 'as a pod asked for it, though that tag is another’s by now',
      asked: { image: ID, user_specified_image: 'app:0' },
      is: 'app:0',
    },
    {
      desc: 'as pods do where the user’s name is not its own',
      asked: { image: ID, user_specified_image: 'other:1' },
      is: 'app:0',
    },
    { desc: 'as pods do where only its id is asked for', asked: { image: ID }, is: 'app:0' },
  ])('$desc', async ({ asked, is }) => {
    expect(await nameOf(asked)).toBe(is);
  });
});
