import { EngineError } from '../../../../src/docker/errors';
import { removeImage } from '../../../../src/server/image/remove-image';
import type { Services } from '../../../../src/server/services';
import { NameReservations } from '../../../../src/store/name-reservations';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { imageRecord } from '../../support/records';

const TAGS = ['a.io/app:1', 'b.io/app:1'];
const IN_USE = 'unable to delete 1 (cannot be forced) - image is being used by running container 2';
const SEVERAL = 'unable to delete 1 (must be forced) - image is referenced in multiple repositories';

/** Removes an image whose removal by id the Engine refuses with `refusal`, as long as it has names. */
function removing(refusal: string) {
  const store = new WritableStore();
  const image = imageRecord({ repoTags: TAGS, repoDigests: [] });
  store.images.put(image);
  const untagged: string[] = [];
  const docker = fakeDocker({
    removeImage: (name) => {
      if (name !== image.id) untagged.push(name);
      else if (untagged.length < TAGS.length) return Promise.reject(new EngineError('UNKNOWN', 409, refusal));
      return Promise.resolve();
    },
  });
  const imageSync = { resync: () => Promise.resolve(), forget: () => Promise.resolve() };
  const services = { store, docker, imageSync, reservations: new NameReservations() } as unknown as Services;
  const { signal } = new AbortController();
  const request = { image: { image: image.id } } as Parameters<typeof removeImage>[1];
  return { untagged, done: removeImage(services, request, { signal }) };
}

describe('the removal of an image with names in several repositories', () => {
  it('goes name by name', async () => {
    const { untagged, done } = removing(SEVERAL);
    await done;
    expect(untagged).toEqual(TAGS);
  });

  it.each([IN_USE, 'conflict: container 2 is using its referenced image 1'])(
    'takes none when the Engine knows of a container: %s',
    async (refusal) => {
      const { untagged, done } = removing(refusal);
      await expect(done).rejects.toThrow(refusal);
      expect(untagged).toEqual([]);
    },
  );
});
