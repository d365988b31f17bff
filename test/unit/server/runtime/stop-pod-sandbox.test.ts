import { silentLogger } from '../../../../src/lib/logger';
import { PodSandboxState } from '../../../../src/proto/enums';
import { removePodSandbox } from '../../../../src/server/runtime/remove-pod-sandbox';
import { startContainer } from '../../../../src/server/runtime/start-container';
import { stopPodSandbox } from '../../../../src/server/runtime/stop-pod-sandbox';
import { ContainerSessions, Teardowns } from '../../../../src/containers/engine-ops';
import type { Services } from '../../../../src/server/services';
import { WritableStore } from '../../../../src/store/store';
import { sandboxState } from '../../../../src/translate/sandbox/sandbox-status';
import { fakeDocker } from '../../../fakes/fake-docker';
import { until } from '../../support/async';
import { lifeWith } from '../../support/fake-life';
import { rejectionOf } from '../../support/errors';
import { containerRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const SANDBOX = sandboxRecord();
const CONTAINER = containerRecord({ sandboxId: SANDBOX.id });
const { signal } = new AbortController();

/** A pod with a created container. `duringDetach` runs while the plugins free its network. */
function podWith(duringDetach: (services: Services, store: WritableStore) => Promise<void>) {
  const store = new WritableStore();
  store.sandboxes.put(SANDBOX);
  store.containers.put(CONTAINER);
  const calls: string[] = [];
  const exited = (id: string): void => {
    const running = store.containers.get(id);
    if (running !== undefined) store.containers.put({ ...running, state: 'exited' });
  };
  const docker = fakeDocker({
    startContainer: (id) => Promise.resolve(void calls.push(`start ${id}`)),
    stopContainer: (id) => {
      calls.push(`stop ${id}`);
      exited(id);
      return Promise.resolve();
    },
    killContainer: (id) => {
      calls.push(`kill ${id}`);
      exited(id);
      return Promise.resolve();
    },
    removeContainer: (id) => Promise.resolve(void calls.push(`remove ${id}`)),
  });
  const services = {
    ...{ store, docker },
    sessions: new ContainerSessions(),
    logger: silentLogger,
    teardowns: new Teardowns(store),
    network: {
      detach: async () => {
        calls.push('detach');
        await duringDetach(services, store);
      },
    },
    life: lifeWith(store, docker, (id, occasion) => {
      if (occasion === 'started') store.containers.put(runningContainer({ id, sandboxId: SANDBOX.id }));
      return Promise.resolve();
    }),
  } as unknown as Services;
  return { store, calls, services };
}

const stop = (services: Services) =>
  stopPodSandbox(services, decoded('StopPodSandboxRequest', { pod_sandbox_id: SANDBOX.id }), { signal });
const remove = (services: Services) =>
  removePodSandbox(services, decoded('RemovePodSandboxRequest', { pod_sandbox_id: SANDBOX.id }), { signal });
const start = (services: Services) =>
  startContainer(services, decoded('StartContainerRequest', { container_id: CONTAINER.id }), { signal });

describe('a pod that is being stopped', () => {
  it('starts no container, and is not ready', async () => {
    let refusal = '';
    let state: PodSandboxState | undefined;
    const { calls, services } = podWith(async (pod) => {
      state = sandboxState(pod.store.sandboxes.get(SANDBOX.id)!);
      refusal = await rejectionOf(start(pod));
    });
    await stop(services);
    expect(refusal).toMatch(/^FAILED_PRECONDITION pod sandbox .* is not ready/);
    expect(state).toBe(PodSandboxState.SANDBOX_NOTREADY);
    expect(calls).toEqual(['detach', `stop ${SANDBOX.id}`]);
  });

  it('ends containers that an interrupted start has started in the meantime', async () => {
    const { calls, services } = podWith((_pod, store) => {
      store.containers.put(runningContainer({ id: CONTAINER.id, sandboxId: SANDBOX.id }));
      return Promise.resolve();
    });
    await stop(services);
    expect(calls).toEqual(['detach', `kill ${CONTAINER.id}`, `stop ${SANDBOX.id}`]);
  });

  it('waits for an earlier start', async () => {
    const { calls, services } = podWith(() => Promise.resolve());
    const starting = start(services);
    await until(() => calls.length === 1);
    await Promise.all([starting, stop(services)]);
    expect(calls).toEqual([`start ${CONTAINER.id}`, `kill ${CONTAINER.id}`, 'detach', `stop ${SANDBOX.id}`]);
  });

  it('stays stopped when its network cannot be freed, because half a network is unusable', async () => {
    const { services } = podWith(() => Promise.reject(new Error('plugin failed')));
    await expect(stop(services)).rejects.toThrow('plugin failed');
    expect(await rejectionOf(start(services))).toMatch(/^FAILED_PRECONDITION/);
  });
});

it('a removal includes containers that were created during it', async () => {
  const late = containerRecord({ id: 'late', engineName: 'late', sandboxId: SANDBOX.id });
  const { calls, services } = podWith((_pod, store) => {
    store.containers.put(late);
    return Promise.resolve();
  });
  await remove(services);
  expect(calls).toEqual([`remove ${CONTAINER.id}`, 'detach', 'remove late', `remove ${SANDBOX.id}`]);
});
