import { imageToRun } from '../../../../src/server/container/image-to-run';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { rejectionOf } from '../../support/errors';
import { engineId, imageRecord } from '../../support/records';

const { signal } = new AbortController();
const image = imageRecord({ id: `sha256:${engineId('ab')}`, repoTags: ['app:1'] });

/** On a node whose Engine has `image`. */
function look(wanted: string, { isKnown }: { isKnown: boolean }) {
  const store = new WritableStore();
  if (isKnown) store.images.put(image);
  const asked: string[] = [];
  const refresh = (name: string) => {
    asked.push(name);
    return Promise.resolve([image.id, ...image.repoTags].includes(name) ? image : undefined);
  };
  const services = { store, imageSync: { refresh } } as unknown as Services;
  return { asked, found: imageToRun(services, wanted, 'config.image.image', signal) };
}

describe('imageToRun', () => {
  it('asks nobody for an image that we know', async () => {
    const { asked, found } = look('docker.io/library/app:1', { isKnown: true });
    expect(await found).toBe(image);
    expect(asked).toEqual([]);
  });

  it.each(['docker.io/library/app:1', image.id, engineId('ab')])(
    'asks the Engine for one that is new: %s',
    async (wanted) => {
      expect(await look(wanted, { isKnown: false }).found).toBe(image);
    },
  );

  it('names the field of one that is not there', async () => {
    expect(await rejectionOf(look('other:1', { isKnown: true }).found)).toBe(
      'NOT_FOUND config.image.image: image "other:1" is not on this node; pull it first',
    );
  });
});
