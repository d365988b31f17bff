import type { DockerClient } from '../../../../src/docker/client';
import { createContainer } from '../../../../src/server/runtime/create-container';
import type { Services } from '../../../../src/server/services';
import { SpoolMode } from '../../../../src/containers/creation';
import { silentLogger } from '../../../../src/lib/logger';
import { NameReservations } from '../../../../src/store/name-reservations';
import { WritableStore } from '../../../../src/store/store';
import { FakeEngine } from '../../../fakes/fake-docker';
import { gate } from '../../support/async';
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
  it('is there when CreateContainer returns', async () => {
    const { store, create } = room();
    expect(await create()).toEqual({ container_id: ID });
    expect(store.containers.get(ID)).toMatchObject({ state: 'created', metadata: { name: 'app' } });
  });

  it('is not made once the Engine has said that the container is gone', async () => {
    const { store, life, create } = room();
    await life.withContainer(ID, undefined, (held) => held.forget());
    await create();
    expect(store.containers.get(ID)).toBeUndefined();
  });

  it('takes back nothing that was learned of the container meanwhile', async () => {
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
