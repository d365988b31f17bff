import { EngineError } from '../../../../src/docker/errors';
import type { EngineContainerSummary } from '../../../../src/engine/types';
import { silentLogger } from '../../../../src/lib/logger';
import { removeImage } from '../../../../src/server/image/remove-image';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { ImageSync } from '../../../../src/sync/image-sync';
import { fakeDocker } from '../../../fakes/fake-docker';
import { gate, settle } from '../../support/async';
import { imageRecord } from '../../support/records';

const TAGS = ['a.io/app:1', 'b.io/app:1'];
const REFUSAL = 'unable to delete 1';

/**
 * Removes an image that the Engine refuses to remove by id as long as the image has names.
 * @param isUsed whether a container uses the image, or the error of the container list.
 */
function removing({ isUsed }: { isUsed: boolean | Error }) {
  const store = new WritableStore();
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
      isUsed instanceof Error
        ? Promise.reject(isUsed)
        : Promise.resolve([containerOf('sha256:another'), ...(isUsed ? [containerOf(image.id)] : [])]),
  });
  const imageSync = new ImageSync({ docker, store, logger: silentLogger });
  const services = { store, docker, imageSync } as unknown as Services;
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

  it('removes no name, and keeps the refusal, when the Engine does not say who uses the image', async () => {
    const { untagged, done } = removing({ isUsed: new Error('the list hangs') });
    await expect(done).rejects.toThrow(REFUSAL);
    expect(untagged).toEqual([]);
  });

  it('removes no name when a container that dockbridge does not know uses the image', async () => {
    const { untagged, done } = removing({ isUsed: true });
    await expect(done).rejects.toThrow(REFUSAL);
    expect(untagged).toEqual([]);
  });
});

it('two removals of one image run one after the other, and the second finds the image gone', async () => {
  const store = new WritableStore();
  const image = imageRecord({ repoTags: ['a.io/app:1'], repoDigests: [] });
  store.images.put(image);
  const busy = gate();
  const removed: string[] = [];
  const docker = fakeDocker({
    removeImage: (name) => {
      removed.push(name);
      return busy.promise;
    },
  });
  const imageSync = new ImageSync({ docker, store, logger: silentLogger });
  const services = { store, docker, imageSync } as unknown as Services;
  const request = { image: { image: image.id } } as Parameters<typeof removeImage>[1];
  const { signal } = new AbortController();
  const both = Promise.all([1, 2].map(() => removeImage(services, request, { signal })));
  await settle();
  expect(removed).toEqual([image.id]);
  busy.resolve();
  await both;
  expect(removed).toEqual([image.id]);
});
