import { askedNames } from '../../../../src/server/image/asked-names';
import { WritableStore } from '../../../../src/store/store';
import type { MountRecord } from '../../../../src/store/records';
import { containerRecord, engineId } from '../../support/records';

const id = (start: string): string => `sha256:${engineId(start)}`;

function imageMount(image: string, userSpecified: string, imageId: string): MountRecord {
  return {
    ...{ containerPath: '/data', hostPath: '', readonly: true, selinuxRelabel: false },
    ...{ propagation: 0, recursiveReadOnly: false },
    image: { image, userSpecified, annotations: {}, subPath: '', id: imageId },
  };
}

describe('askedNames', () => {
  it('are those of containers and of what they mount, of several the first', () => {
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
