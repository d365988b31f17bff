import { pinnedImages } from '../../../../src/server/image/pinned-images';
import { WritableStore } from '../../../../src/store/store';
import { containerRecord, engineId, imageRecord, sandboxRecord } from '../../support/records';

const image = (start: string) => imageRecord({ id: `sha256:${engineId(start)}` });

describe('pinnedImages', () => {
  it("are the sandbox image, those of sandboxes and of strangers, but not of pods' containers", () => {
    const store = new WritableStore();
    const [configured, former, stranger, pods] = [image('a'), image('b'), image('c'), image('d')];
    store.sandboxes.put(sandboxRecord({ imageId: former.id }));
    store.foreign.put({ id: engineId('f'), engineName: 'db', imageId: stranger.id });
    store.containers.put(containerRecord({ imageId: pods.id }));
    const sandboxImage = { isPinned: ({ id }: { id: string }) => id === configured.id };
    const isPinned = pinnedImages({ store, sandboxImage });
    expect([configured, former, stranger, pods].map(isPinned)).toEqual([true, true, true, false]);
  });
});
