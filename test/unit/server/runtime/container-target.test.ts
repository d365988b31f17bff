import { ContainerSessions } from '../../../../src/containers/engine-ops';
import { SpoolMode } from '../../../../src/containers/creation';
import type { DockerClient } from '../../../../src/docker/client';
import { EngineError } from '../../../../src/docker/errors';
import type { EngineContainerCreate } from '../../../../src/engine/types';
import { silentLogger } from '../../../../src/lib/logger';
import { NamespaceMode } from '../../../../src/proto/enums';
import { createContainer } from '../../../../src/server/runtime/create-container';
import type { Services } from '../../../../src/server/services';
import { NameReservations } from '../../../../src/store/name-reservations';
import { WritableStore } from '../../../../src/store/store';
import { fakeDocker } from '../../../fakes/fake-docker';
import { rejectionOf } from '../../support/errors';
import { lifeWith } from '../../support/fake-life';
import { engineId, imageRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const ID = engineId('new');
const FIELD = 'config.linux.security_context.namespace_options.target_id';
const pod = sandboxRecord();
const target = runningContainer();

describe('CreateContainer', () => {
  let store: WritableStore;
  let bodies: EngineContainerCreate[];
  let removed: string[];
  let refuse: Error | undefined;
  let onCreate: () => void;
  let services: Services;
  beforeEach(() => {
    store = new WritableStore();
    store.sandboxes.put(pod);
    store.images.put(imageRecord({ repoTags: ['busybox:latest'] }));
    store.containers.put(target);
    [bodies, removed, refuse] = [[], [], undefined];
    onCreate = () => undefined;
    const docker: DockerClient = fakeDocker({
      createContainer: (_, body) => {
        bodies.push(body);
        onCreate();
        return refuse === undefined ? Promise.resolve(ID) : Promise.reject(refuse);
      },
      removeContainer: (id) => Promise.resolve(void removed.push(id)),
    });
    services = {
      ...{ store, docker, life: lifeWith(store, docker), logger: silentLogger },
      reservations: new NameReservations(),
      spoolMode: new SpoolMode(silentLogger),
      sessions: new ContainerSessions(),
      imageAccounts: { of: () => Promise.resolve({ users: [], groups: [] }) },
      imageSync: { refresh: () => Promise.resolve(undefined) },
      settings: { localEngine: false, capabilities: undefined, spool: { maxSize: '1m', maxFile: 2 } },
    } as unknown as Services;
  });

  const create = (more: object = {}, pod_sandbox_id = pod.id) =>
    createContainer(
      services,
      decoded('CreateContainerRequest', {
        pod_sandbox_id,
        config: { metadata: { name: 'debug', attempt: 2 }, image: { image: 'busybox' }, ...more },
      }),
      { signal: new AbortController().signal },
    );
  const inTarget = (target_id: string) =>
    create({
      linux: { security_context: { namespace_options: { pid: NamespaceMode.TARGET, target_id } } },
    });

  it('shares the process namespace of a container of the pod only on request, and finds it by any unique prefix of its id', async () => {
    expect(await inTarget(target.id.slice(0, 10))).toEqual({ container_id: ID });
    expect(bodies[0]?.HostConfig.PidMode).toBe(`container:${target.id}`);
    expect(store.containers.get(ID)?.metadata).toEqual({ name: 'debug', attempt: 2 });
    await create();
    expect(bodies[1]?.HostConfig.PidMode).not.toBe(`container:${target.id}`);
  });

  it('names the field of a target that does not exist, belongs to another pod, or does not run', async () => {
    expect(await rejectionOf(inTarget('ff'))).toBe(`NOT_FOUND ${FIELD}: container "ff" does not exist`);
    const outside = `FAILED_PRECONDITION ${FIELD}: container ${target.id} is not running in this pod`;
    store.containers.put({ ...target, sandboxId: engineId('a2') });
    expect(await rejectionOf(inTarget(target.id))).toBe(outside);
    store.containers.put({ ...target, state: 'exited', pid: 0 });
    expect(await rejectionOf(inTarget(target.id))).toBe(outside);
    expect(bodies).toEqual([]);
  });

  it('requires a pod that is ready', async () => {
    expect(await rejectionOf(create({}, 'ff'))).toMatch(/^NOT_FOUND /);
    store.sandboxes.put({ ...pod, networkReady: false });
    expect(await rejectionOf(create())).toBe(
      `FAILED_PRECONDITION pod sandbox ${pod.id} is not ready; containers need a running one`,
    );
    expect(bodies).toEqual([]);
  });

  it('requires an image that is on the node', async () => {
    expect(await rejectionOf(create({ image: null }))).toBe('INVALID_ARGUMENT config.image: is required');
    expect(await rejectionOf(create({ image: { image: 'none:1' } }))).toMatch(
      /^NOT_FOUND config\.image\.image: /,
    );
    expect(bodies).toEqual([]);
  });

  it('leaves nothing behind in a pod that is stopped in the meantime', async () => {
    onCreate = () => store.sandboxes.put({ ...pod, stopping: true });
    expect(await rejectionOf(create())).toBe(
      `FAILED_PRECONDITION pod sandbox ${pod.id} was stopped while its container was created`,
    );
    expect(removed).toEqual([ID]);
  });

  it("passes the Engine's refusal on, and creates no record", async () => {
    refuse = new EngineError('INVALID_ARGUMENT', 400, 'invalid mount');
    expect(await rejectionOf(create({ mounts: [{ host_path: '/none', container_path: '/x' }] }))).toMatch(
      /^INVALID_ARGUMENT .*invalid mount/,
    );
    expect(store.containers.get(ID)).toBeUndefined();
  });
});
