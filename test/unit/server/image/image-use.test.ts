import { askedNames, pinnedImages } from '../../../../src/server/image/image-use';
import { WritableStore } from '../../../../src/store/store';
import type { MountRecord } from '../../../../src/store/records';
import { containerRecord, engineId, imageRecord, sandboxRecord } from '../../support/records';

const id = (start: string): string => `sha256:${engineId(start)}`;

function imageMount(image: string, userSpecified: string, imageId: string): MountRecord {
  return {
    containerPath: '/data',
    hostPath: '',
    readonly: true,
    selinuxRelabel: false,
    propagation: 0,
    recursiveReadOnly: false,
    image: { image, userSpecified, annotations: {}, subPath: '', id: imageId },
  };
}

describe('askedNames', () => {
  it('returns the names by which containers and mounts asked for images, and the alphabetically first of several', () => {
    const store = new WritableStore();
    const mounts = [
      imageMount(id('b'), 'models:1', id('b')),
      imageMount('b:2', '', id('b')),
      imageMount(id('c'), '', id('c')),
      imageMount('d:1', '', ''),
    ];
    const own = { image: id('a'), imageId: id('a'), userSpecifiedImage: 'app:2' };
    store.containers.put(containerRecord({ id: engineId('1'), ...own, mounts }));
    store.containers.put(containerRecord({ id: engineId('2'), ...own, userSpecifiedImage: 'app:1' }));
    expect([...askedNames(store)]).toEqual([
      [id('a'), { first: 'app:1', all: new Set(['app:2', 'app:1']) }],
      [id('b'), { first: 'b:2', all: new Set(['models:1', 'b:2']) }],
    ]);
  });
});

const image = (start: string) => imageRecord({ id: `sha256:${engineId(start)}` });

describe('pinnedImages', () => {
  it("include the sandbox image and those of sandboxes and foreign containers, but not of pods' containers", () => {
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
