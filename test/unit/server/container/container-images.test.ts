import { EngineError } from '../../../../src/docker/errors';
import type { EngineContainerCreate, EngineMount } from '../../../../src/engine/types';
import { silentLogger } from '../../../../src/lib/logger';
import { imageToRun, requireSubPaths } from '../../../../src/server/container/container-images';
import { Probes } from '../../../../src/server/container/probes';
import type { Services } from '../../../../src/server/services';
import type { MountRecord } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
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

function imageMount(subPath: string): MountRecord {
  return {
    containerPath: '/m',
    hostPath: '',
    readonly: true,
    selinuxRelabel: false,
    propagation: 0,
    recursiveReadOnly: false,
    image: { image: 'app', userSpecified: '', annotations: {}, id: 'sha256:1', subPath },
  };
}

const engineMount = (Subpath: string): EngineMount => ({
  Type: 'image',
  Source: 'sha256:1',
  Target: '/m',
  ReadOnly: true,
  ImageOptions: { Subpath },
});

/** Looks at a container that was created; `canMount` is the Engine's answer when it is made to mount. */
function lookWithSubPaths(subPaths: string[], canMount: (mounts: readonly EngineMount[]) => boolean) {
  const made = new Map<string, EngineContainerCreate>();
  const removed: string[] = [];
  const reads: string[] = [];
  const docker = fakeDocker({
    createContainer: (_name, body) => {
      made.set('probe', body);
      return Promise.resolve('probe');
    },
    readFile: (id) => {
      reads.push(id);
      return canMount(made.get(id)?.HostConfig.Mounts ?? [])
        ? Promise.resolve(undefined)
        : Promise.reject(new EngineError('UNKNOWN', 500, 'cannot mount'));
    },
    removeContainer: (id) => Promise.resolve(void removed.push(id)),
  });
  const body = { Image: 'sha256:2', Labels: {}, HostConfig: { Mounts: subPaths.map(engineMount) } };
  made.set('c1', body);
  const parts = { docker, probes: new Probes({ docker, logger: silentLogger }) };
  const mounts = subPaths.map(imageMount);
  return { reads, removed, done: requireSubPaths(parts, 'c1', body, mounts, 'config.mounts', signal) };
}

describe('requireSubPaths', () => {
  it('asks nothing of the Engine without a sub-path', async () => {
    const { reads, done } = lookWithSubPaths(['', ''], () => false);
    await done;
    expect(reads).toEqual([]);
  });

  it('lets a container be that the Engine can mount', async () => {
    const { reads, removed, done } = lookWithSubPaths(['etc'], () => true);
    await done;
    expect(reads).toEqual(['c1']);
    expect(removed).toEqual([]);
  });

  it('names the sub-paths when all is well without them, and leaves no container', async () => {
    const { removed, done } = lookWithSubPaths(['etc', '', 'absent'], (mounts) =>
      mounts.every(({ ImageOptions }) => ImageOptions?.Subpath !== 'absent'),
    );
    expect(await rejectionOf(done)).toBe(
      'INVALID_ARGUMENT ImageVolumeMountFailed: config.mounts[0].image_sub_path or ' +
        'config.mounts[2].image_sub_path: "etc" or "absent" is not in the image (cannot mount)',
    );
    expect(removed).toEqual(['c1', 'probe']);
  });

  it('says what the Engine said when it cannot mount without them either', async () => {
    const { removed, done } = lookWithSubPaths(['etc'], () => false);
    expect(await rejectionOf(done)).toBe('UNKNOWN cannot mount');
    expect(removed).toEqual(['c1', 'probe']);
  });
});
