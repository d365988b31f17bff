import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
} from './support/pods';

const UNKNOWN = 'f'.repeat(64);
/** Ignores SIGTERM, so that only SIGKILL ends the container. */
const STUBBORN = 'trap "" TERM; while :; do sleep 1; done';

describe('a pod sandbox', () => {
  let test: TestDaemon;
  beforeAll(async () => (test = await TestDaemon.start()));
  afterAll(() => test.stop());

  const stop = (pod_sandbox_id: string): Promise<unknown> =>
    test.client.call('StopPodSandbox', { pod_sandbox_id });
  const remove = (pod_sandbox_id: string): Promise<unknown> =>
    test.client.call('RemovePodSandbox', { pod_sandbox_id });
  const existsOnEngine = async (id: string): Promise<boolean> => {
    const filters = encodeURIComponent(JSON.stringify({ id: [id] }));
    const found = await engineGet(sharedDockerHost(), `/containers/json?all=1&filters=${filters}`);
    return (found as unknown[]).length > 0;
  };

  it('kills its containers when it is stopped, stays visible, and can be stopped again', async () => {
    const pod = await runPod(test);
    const ids = await Promise.all(
      ['one', 'two', 'three'].map((name) => startedContainer(test, pod, containerConfig(name, STUBBORN))),
    );
    const began = Date.now();
    await stop(pod);
    expect(Date.now() - began).toBeLessThan(8000);
    expect((await sandboxStatus(test, pod)).state).toBe(PodSandboxState.SANDBOX_NOTREADY);
    for (const id of ids) {
      expect(await containerStatus(test, id)).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        exit_code: 137,
        reason: 'Error',
      });
    }
    await stop(pod);
    expect((await sandboxStatus(test, pod)).state).toBe(PodSandboxState.SANDBOX_NOTREADY);
  });

  it('accepts no new containers once stopped, and starts none of its own', async () => {
    const pod = await runPod(test);
    const waiting = await createContainer(test, pod, containerConfig('waiting', FOREVER));
    await stop(pod);
    await expectFailure(
      createContainer(test, pod, containerConfig('late', FOREVER)),
      'FAILED_PRECONDITION',
      /not ready/,
    );
    await expectFailure(
      test.client.call('StartContainer', { container_id: waiting }),
      'FAILED_PRECONDITION',
      /not ready/,
    );
  });

  it('is removed with running, exited and created containers, and can be removed again', async () => {
    const pod = await runPod(test);
    const ids = await Promise.all([
      startedContainer(test, pod, containerConfig('running', STUBBORN)),
      startedContainer(test, pod, containerConfig('short', 'true')),
      createContainer(test, pod, containerConfig('created', FOREVER)),
    ]);
    await remove(pod);
    for (const id of [pod, ...ids]) expect(await existsOnEngine(id)).toBe(false);
    expect(
      (await test.client.call('ListContainers', { filter: { pod_sandbox_id: pod } })).containers,
    ).toEqual([]);
    expect((await test.client.call('ListPodSandbox', { filter: { id: pod } })).items).toEqual([]);
    await expectFailure(sandboxStatus(test, pod), 'NOT_FOUND', pod);
    await expectFailure(containerStatus(test, ids[0]), 'NOT_FOUND', ids[0]);
    await remove(pod);
    await stop(pod);
  });

  it('is removed by several simultaneous calls', async () => {
    const pod = await runPod(test);
    await startedContainer(test, pod, containerConfig('main', STUBBORN));
    await Promise.all([stop(pod), stop(pod), remove(pod), remove(pod)]);
    expect(await existsOnEngine(pod)).toBe(false);
  });

  it('that is unknown is stopped and removed without an error', async () => {
    await stop(UNKNOWN);
    await remove(UNKNOWN);
    await expectFailure(sandboxStatus(test, UNKNOWN), 'NOT_FOUND', UNKNOWN);
    await expectFailure(createContainer(test, UNKNOWN, containerConfig('x', 'true')), 'NOT_FOUND', UNKNOWN);
  });

  it('is found by a unique prefix of its id', async () => {
    const pod = await runPod(test);
    const prefix = pod.slice(0, 13);
    expect((await sandboxStatus(test, prefix)).id).toBe(pod);
    const id = await createContainer(test, prefix, containerConfig('main', FOREVER));
    await test.client.call('StartContainer', { container_id: id.slice(0, 13) });
    const { pod_sandbox_id } = (await test.client.call('ListContainers', { filter: { id } })).containers[0]!;
    expect(pod_sandbox_id).toBe(pod);
    expect((await containerStatus(test, id.slice(0, 13))).id).toBe(id);
    await test.client.call('StopContainer', { container_id: id.slice(0, 13), timeout: 0 });
    await test.client.call('RemoveContainer', { container_id: id.slice(0, 13) });
    await stop(prefix);
    expect((await sandboxStatus(test, pod)).state).toBe(PodSandboxState.SANDBOX_NOTREADY);
    await remove(prefix);
    expect(await existsOnEngine(pod)).toBe(false);
  });

  it('is not found by an empty id or an ambiguous prefix', async () => {
    await expectFailure(stop(''), 'INVALID_ARGUMENT', /pod_sandbox_id/);
    await expectFailure(remove(''), 'INVALID_ARGUMENT', /pod_sandbox_id/);
    const pods = await Promise.all(Array.from({ length: 17 }, () => runPod(test)));
    // 17 ids have 16 possible first digits.
    const shared = pods.map((id) => id.slice(0, 1)).find((digit, at, all) => all.indexOf(digit) !== at);
    await expectFailure(stop(shared!), 'INVALID_ARGUMENT', /ambiguous/);
    for (const pod of pods)
      expect((await sandboxStatus(test, pod)).state).toBe(PodSandboxState.SANDBOX_READY);
  });

  it('may be an earlier attempt of its pod next to the present one', async () => {
    const config = podConfig(test);
    const first = await runPod(test, config);
    const old = await startedContainer(test, first, containerConfig('main', FOREVER));
    await stop(first);
    const second = await runPod(test, { ...config, metadata: { ...config.metadata, attempt: 1 } });
    // In the Engine, this container would have the same name as the first one.
    const next = await startedContainer(test, second, containerConfig('main', FOREVER));
    expect(next).not.toBe(old);
    await expectFailure(
      createContainer(test, second, containerConfig('main', FOREVER)),
      'ALREADY_EXISTS',
      next,
    );
    await test.restart();
    expect((await containerStatus(test, old)).state).toBe(ContainerState.CONTAINER_EXITED);
    expect(await containerStatus(test, next)).toMatchObject({
      state: ContainerState.CONTAINER_RUNNING,
      metadata: { name: 'main', attempt: 0 },
    });
  });
});
