import { EngineError } from '../../../../src/docker/errors';
import { silentLogger } from '../../../../src/lib/logger';
import { requireSubPaths } from '../../../../src/server/container/image-sub-paths';
import { Probes } from '../../../../src/server/container/probes';
import type { MountRecord } from '../../../../src/store/records';
import type { EngineContainerCreate, EngineMount } from '../../../../src/engine/types';
import { fakeDocker } from '../../../fakes/fake-docker';
import { rejectionOf } from '../../support/errors';

const { signal } = new AbortController();

function imageMount(subPath: string): MountRecord {
  return {
    ...{ containerPath: '/m', hostPath: '', readonly: true, selinuxRelabel: false },
    ...{ propagation: 0, recursiveReadOnly: false },
    image: { image: 'app', userSpecified: '', annotations: {}, id: 'sha256:1', subPath },
  };
}

const engineMount = (Subpath: string): EngineMount => ({
  ...{ Type: 'image', Source: 'sha256:1', Target: '/m', ReadOnly: true },
  ImageOptions: { Subpath },
});

/** Looks at a container that was created; `canMount` is the Engine's answer when it is made to mount. */
function look(subPaths: string[], canMount: (mounts: readonly EngineMount[]) => boolean) {
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
    const { reads, done } = look(['', ''], () => false);
    await done;
    expect(reads).toEqual([]);
  });

  it('lets a container be that the Engine can mount', async () => {
    const { reads, removed, done } = look(['etc'], () => true);
    await done;
    expect(reads).toEqual(['c1']);
    expect(removed).toEqual([]);
  });

  it('names the sub-paths when all is well without them, and leaves no container', async () => {
    const { removed, done } = look(['etc', '', 'absent'], (mounts) =>
      mounts.every(({ ImageOptions }) => ImageOptions?.Subpath !== 'absent'),
    );
    expect(await rejectionOf(done)).toBe(
      'INVALID_ARGUMENT ImageVolumeMountFailed: config.mounts[0].image_sub_path or ' +
        'config.mounts[2].image_sub_path: "etc" or "absent" is not in the image (cannot mount)',
    );
    expect(removed).toEqual(['c1', 'probe']);
  });

  it('says what the Engine said when it cannot mount without them either', async () => {
    const { removed, done } = look(['etc'], () => false);
    expect(await rejectionOf(done)).toBe('UNKNOWN cannot mount');
    expect(removed).toEqual(['c1', 'probe']);
  });
});
