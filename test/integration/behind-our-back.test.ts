import { ContainerState, PodSandboxState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  output,
  podConfig,
  readLogText,
  runPod,
  sandboxStatus,
  startedContainer,
  stateOf,
  untilExited,
  untilStore,
} from './support/pods';

describe('changes that others make in the Engine', () => {
  let test: TestDaemon;
  // Lists are not compared during these tests, so the store learns of changes only from events.
  beforeAll(async () => (test = await TestDaemon.start({ linkTimes: { resync: 3_600_000 } })));
  afterAll(() => test.stop());

  const docker = async (method: 'POST' | 'DELETE', path: string): Promise<void> => {
    await engineCall(sharedDockerHost(), method, `/containers/${path}`);
  };
  const listed = async (id: string): Promise<number> => {
    const [pods, containers] = await Promise.all([
      test.client.call('ListPodSandbox', { filter: { id } }),
      test.client.call('ListContainers', { filter: { id } }),
    ]);
    return pods.items.length + containers.containers.length;
  };
  const inStore = (id: string): boolean =>
    test.daemon.store.containers.get(id) !== undefined || test.daemon.store.sandboxes.get(id) !== undefined;

  it('remove a container from the lists after `docker rm -f`', async () => {
    const pod = await runPod(test);
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    const other = await startedContainer(test, pod, containerConfig('other', FOREVER));
    await docker('DELETE', `${id}?force=1`);
    await untilStore(test, () => !inStore(id));
    expect(await listed(id)).toBe(0);
    await expectFailure(containerStatus(test, id), 'NOT_FOUND');
    await test.client.call('StopContainer', { container_id: id, timeout: 1 });
    await test.client.call('RemoveContainer', { container_id: id });
    expect(await stateOf(test, other)).toBe(ContainerState.CONTAINER_RUNNING);
  });

  it('remove a sandbox after `docker rm -f`, and its containers can still be removed', async () => {
    const config = podConfig(test);
    const pod = await runPod(test, config);
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    await docker('DELETE', `${pod}?force=1`);
    await untilStore(test, () => !inStore(pod));
    expect(await listed(pod)).toBe(0);
    await expectFailure(sandboxStatus(test, pod), 'NOT_FOUND');
    expect(await listed(id)).toBe(1);
    await test.client.call('StopContainer', { container_id: id, timeout: 0 });
    await test.client.call('RemoveContainer', { container_id: id });
    expect(await listed(id)).toBe(0);
    expect(await runPod(test, config)).not.toBe(pod);
  });

  it('make a killed container EXITED with its code', async () => {
    const id = await startedContainer(test, await runPod(test), containerConfig('main', FOREVER));
    await docker('POST', `${id}/kill?signal=KILL`);
    await untilExited(test, id);
    expect(await containerStatus(test, id)).toMatchObject({
      state: ContainerState.CONTAINER_EXITED,
      exit_code: 137,
      reason: 'Error',
    });
  });

  it('make a killed sandbox NOTREADY', async () => {
    const pod = await runPod(test);
    await docker('POST', `${pod}/kill?signal=KILL`);
    await untilStore(test, () => test.daemon.store.sandboxes.get(pod)?.state === 'exited');
    expect(await sandboxStatus(test, pod)).toMatchObject({ state: PodSandboxState.SANDBOX_NOTREADY });
  });

  it('keep a paused container RUNNING for kubelet', async () => {
    const id = await startedContainer(test, await runPod(test), containerConfig('main', FOREVER));
    const state = (): string | undefined => test.daemon.store.containers.get(id)?.state;
    await docker('POST', `${id}/pause`);
    await untilStore(test, () => state() === 'paused');
    expect(await stateOf(test, id)).toBe(ContainerState.CONTAINER_RUNNING);
    await docker('POST', `${id}/unpause`);
    await untilStore(test, () => state() === 'running');
  });

  it('make a container RUNNING after `docker start`, and its log is written', async () => {
    const script = 'echo hello; until [ -e /go ]; do sleep 0.01; done';
    const id = await createContainer(test, await runPod(test), containerConfig('main', script));
    await docker('POST', `${id}/start`);
    await untilStore(test, () => test.daemon.store.containers.get(id)?.state === 'running');
    expect(await stateOf(test, id)).toBe(ContainerState.CONTAINER_RUNNING);
    await output(test, id, '(sleep 0.2; touch /go) >/dev/null 2>&1 &');
    await untilExited(test, id);
    const { exit_code, reason, log_path } = await containerStatus(test, id);
    expect([exit_code, reason, await readLogText(log_path)]).toEqual([0, 'Completed', 'hello\n']);
  });

  it('do not make a container part of a pod just because its image was committed from a container of that pod', async () => {
    const id = await startedContainer(test, await runPod(test), containerConfig('main', FOREVER));
    const engine = sharedDockerHost();
    const made = async (path: string, json: object): Promise<string> =>
      ((await engineCall(engine, 'POST', path, { json })) as { Id: string }).Id;
    const image = await made(`/commit?container=${id}&repo=dockbridge.test/committed`, {});
    const copy = await made('/containers/create', { Image: image });
    try {
      await docker('POST', `${copy}/start`);
      await untilStore(test, () => test.daemon.store.foreign.get(copy) !== undefined);
      await test.restart();
      expect([await listed(copy), await listed(id)]).toEqual([0, 1]);
    } finally {
      await docker('DELETE', `${copy}?force=1`);
      await engineCall(engine, 'DELETE', `/images/${image}`);
    }
  });

  it('are found after a restart of the daemon', async () => {
    const pod = await runPod(test);
    const [removed, killed, kept] = await Promise.all(
      ['removed', 'killed', 'kept'].map((name) =>
        startedContainer(test, pod, containerConfig(name, FOREVER)),
      ),
    );
    await test.restart(async () => {
      await docker('DELETE', `${removed!}?force=1`);
      await docker('POST', `${killed!}/kill?signal=KILL`);
    });
    expect(await listed(removed!)).toBe(0);
    expect(await containerStatus(test, killed!)).toMatchObject({
      state: ContainerState.CONTAINER_EXITED,
      exit_code: 137,
    });
    expect(await stateOf(test, kept!)).toBe(ContainerState.CONTAINER_RUNNING);
  });
});
