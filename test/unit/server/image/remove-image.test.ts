import { EngineError } from '../../../../src/docker/errors';
import type { EngineContainerSummary } from '../../../../src/engine/types';
import { removeImage } from '../../../../src/server/image/remove-image';
import type { Services } from '../../../../src/server/services';
import { NameReservations } from '../../../../src/store/name-reservations';
import { Store } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { imageRecord } from '../../support/records';

const TAGS = ['a.io/app:1', 'b.io/app:1'];
const REFUSAL = 'unable to delete 1';

/** Removes an image whose removal by id the Engine refuses as long as it has names; a container of the Engine's may use it. */
function removing({ isUsed }: { isUsed: boolean }) {
  const store = new Store();
  const image = imageRecord({ repoTags: TAGS, repoDigests: [] });
  store.images.put(image);
  const untagged: string[] = [];
  const docker = fakeDocker({
    removeImage: (name) => {
      if (name !== image.id) untagged.push(name);
      else if (untagged.length < TAGS.length) return Promise.reject(new EngineError('UNKNOWN', 409, REFUSAL));
      return Promise.resolve();
    },
    listContainers: () =>
      Promise.resolve([containerOf('sha256:another'), ...(isUsed ? [containerOf(image.id)] : [])]),
  });
  const imageSync = { resync: () => Promise.resolve(), forget: () => Promise.resolve() };
  const services = { store, docker, imageSync, reservations: new NameReservations() } as unknown as Services;
  const { signal } = new AbortController();
  const request = { image: { image: image.id } } as Parameters<typeof removeImage>[1];
  return { untagged, done: removeImage(services, request, { signal }) };
}

function containerOf(ImageID: string): EngineContainerSummary {
  return { Id: 'c', Names: ['/c'], ImageID, Image: 'app:1', Created: 0, State: 'running' };
}

describe('the removal of an image with names in several repositories', () => {
  it('goes name by name', async () => {
    const { untagged, done } = removing({ isUsed: false });
    await done;
    expect(untagged).toEqual(TAGS);
  });

  it('takes none when a container that we do not know of uses the image', async () => {
    const { untagged, done } = removing({ isUsed: true });
    await expect(done).rejects.toThrow(REFUSAL);
    expect(untagged).toEqual([]);
  });
});
