import { SpoolMode } from '../../../../src/containers/creation';
import type { DockerClient } from '../../../../src/docker/client';
import { EngineError } from '../../../../src/docker/errors';
import type { EngineContainerCreate, EngineMount } from '../../../../src/engine/types';
import {
  createContainer,
  imageToRun,
  makeMissingSources,
  requireSubPaths,
} from '../../../../src/server/runtime/create-container';
import type { Services } from '../../../../src/server/services';
import { silentLogger } from '../../../../src/lib/logger';
import { DiskLooks } from '../../../../src/node/disk/disk-looks';
import { NoDirectory } from '../../../../src/node/disk/make-directory';
import { Probes } from '../../../../src/server/container/probes';
import { NameReservations } from '../../../../src/store/name-reservations';
import type { MountRecord } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker, FakeEngine } from '../../../fakes/fake-docker';
import { gate } from '../../support/async';
import { rejectionOf } from '../../support/errors';
import { lifeWith } from '../../support/fake-life';
import { engineId, FINISHED, imageRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const ID = engineId('new');

/** A pod in which one container is created. */
function room() {
  const store = new WritableStore();
  const sandbox = sandboxRecord();
  const image = imageRecord({ repoTags: ['busybox:latest'] });
  store.sandboxes.put(sandbox);
  store.images.put(image);
  const { client } = new FakeEngine();
  const docker = Object.assign(Object.create(client) as DockerClient, {
    createContainer: () => Promise.resolve(ID),
  });
  const life = lifeWith(store, docker);
  const services = {
    ...{ store, docker, life, logger: silentLogger },
    reservations: new NameReservations(),
    spoolMode: new SpoolMode(silentLogger),
    imageAccounts: { of: () => Promise.resolve({ users: [], groups: [] }) },
    settings: { localEngine: false, capabilities: undefined, spool: { maxSize: '1m', maxFile: 2 } },
  } as unknown as Services;
  const create = () =>
    createContainer(
      services,
      decoded('CreateContainerRequest', {
        pod_sandbox_id: sandbox.id,
        config: { metadata: { name: 'app', attempt: 0 }, image: { image: 'busybox' } },
      }),
      { signal: new AbortController().signal },
    );
  return { store, life, create };
}

describe('the record of a new container', () => {
  it('exists when CreateContainer returns', async () => {
    const { store, create } = room();
    expect(await create()).toEqual({ container_id: ID });
    expect(store.containers.get(ID)).toMatchObject({ state: 'created', metadata: { name: 'app' } });
  });

  it('is not created once the Engine has reported that the container is gone', async () => {
    const { store, life, create } = room();
    await life.withContainer(ID, undefined, (held) => held.forget());
    await create();
    expect(store.containers.get(ID)).toBeUndefined();
  });

  it('keeps the state that dockbridge learns of while CreateContainer runs', async () => {
    const { store, life, create } = room();
    const busy = gate();
    const started = runningContainer({ id: ID, state: 'exited', pid: 0, finishedAt: FINISHED });
    const holding = life.withContainer(ID, undefined, async (held) => {
      await busy.promise;
      held.put(started);
    });
    const creating = create();
    busy.resolve();
    await Promise.all([holding, creating]);
    expect(store.containers.get(ID)).toMatchObject({ state: 'exited' });
  });
});

const { signal } = new AbortController();
const image = imageRecord({ id: `sha256:${engineId('ab')}`, repoTags: ['app:1'] });

/** A node whose Engine has `image`. */
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
  it('makes no call for a known image', async () => {
    const { asked, found } = look('docker.io/library/app:1', { isKnown: true });
    expect(await found).toBe(image);
    expect(asked).toEqual([]);
  });

  it.each(['docker.io/library/app:1', image.id, engineId('ab')])(
    'asks the Engine for a new image: %s',
    async (wanted) => {
      expect(await look(wanted, { isKnown: false }).found).toBe(image);
    },
  );

  it('names the field of a missing image', async () => {
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

/** Calls requireSubPaths for a created container. `canMount` says whether the Engine can mount these mounts. */
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
  it('makes no Engine call without a sub-path', async () => {
    const { reads, done } = lookWithSubPaths(['', ''], () => false);
    await done;
    expect(reads).toEqual([]);
  });

  it('accepts a container that the Engine can mount', async () => {
    const { reads, removed, done } = lookWithSubPaths(['etc'], () => true);
    await done;
    expect(reads).toEqual(['c1']);
    expect(removed).toEqual([]);
  });

  it('names the sub-paths when the container can be mounted without them, and leaves no container', async () => {
    const { removed, done } = lookWithSubPaths(['etc', '', 'absent'], (mounts) =>
      mounts.every(({ ImageOptions }) => ImageOptions?.Subpath !== 'absent'),
    );
    expect(await rejectionOf(done)).toBe(
      'INVALID_ARGUMENT ImageVolumeMountFailed: config.mounts[0].image_sub_path or ' +
        'config.mounts[2].image_sub_path: "etc" or "absent" is not in the image (cannot mount)',
    );
    expect(removed).toEqual(['c1', 'probe']);
  });

  it("passes on the Engine's error when the mounts also fail without the sub-paths", async () => {
    const { removed, done } = lookWithSubPaths(['etc'], () => false);
    expect(await rejectionOf(done)).toBe('UNKNOWN cannot mount');
    expect(removed).toEqual(['c1', 'probe']);
  });
});

const mountOf = (hostPath: string): MountRecord => ({ hostPath }) as MountRecord;

describe('makeMissingSources', () => {
  let asked: string[];
  const parts = (make: (path: string) => Promise<boolean>) => ({
    logger: silentLogger,
    hostDisks: new DiskLooks(2, 5_000),
    make: (path: string) => {
      asked.push(path);
      return make(path);
    },
  });
  beforeEach(() => {
    asked = [];
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('uses at most two threads, however many mounts of however many containers are on a dead disk', async () => {
    jest.useFakeTimers();
    const dead = parts(() => new Promise(() => undefined));
    for (let call = 0; call < 10; call++) {
      const mounts = [0, 1, 2, 3].map((mount) => mountOf(`/dead/${call}/${mount}`));
      const made = makeMissingSources(mounts, 'config.mounts', dead);
      await jest.advanceTimersByTimeAsync(5_000);
      // makeMissingSources does not fail, because the next create call makes the Engine report what it cannot mount.
      await made;
    }
    expect(asked).toEqual(['/dead/0/0', '/dead/1/0']);
  });

  it('names the field of the mount whose source cannot be created, and skips mounts without a path', async () => {
    const full = parts((path) =>
      path === '/full' ? Promise.reject(new NoDirectory('cannot be made: ENOSPC')) : Promise.resolve(true),
    );
    const mounts = ['', '/a', '/full', '/b'].map(mountOf);
    await expect(makeMissingSources(mounts, 'config.mounts', full)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'config.mounts[2].host_path: "/full" does not exist on this node and cannot be made: ENOSPC',
    });
    expect(asked).toEqual(['/a', '/full']);
  });
});
