import { imageStatus } from '../../../../src/server/image/image-status';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { containerRecord, engineId, imageRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const ID = `sha256:${engineId('a')}`;

/**
 * Returns the name of an image with two tags. One pod asked for the second tag, and another for a tag that
 * has moved since.
 */
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

describe('the name of the image in ImageStatus', () => {
  it.each([
    { desc: 'is the name that a pod asked for', asked: { image: 'app:2' }, is: 'app:2' },
    {
      desc: 'is a name that pods asked for if another tag of the image is requested',
      asked: { image: 'app:1' },
      is: 'app:0',
    },
    { desc: "is the user's spelling", asked: { image: ID, user_specified_image: 'app:2' }, is: 'app:2' },
    {
      desc: 'is the name that a pod asked for, even if that tag belongs to another image by now',
      asked: { image: ID, user_specified_image: 'app:0' },
      is: 'app:0',
    },
    {
      desc: "is a name that pods asked for if the user's name does not belong to the image",
      asked: { image: ID, user_specified_image: 'other:1' },
      is: 'app:0',
    },
    { desc: 'is a name that pods asked for if only the id is requested', asked: { image: ID }, is: 'app:0' },
  ])('$desc', async ({ asked, is }) => {
    expect(await nameOf(asked)).toBe(is);
  });
});
