import type { cri, Decoded } from '../../src/proto';
import { ContainerState } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
  untilExited,
} from './support/pods';

describe('Engine calls in steady state', () => {
  let test: TestDaemon;
  let pod: string;
  let container: string;
  beforeAll(async () => {
    test = await TestDaemon.start();
    // The sandbox image may have to be imported once.
    pod = await runPod(test);
    container = await startedContainer(test, pod, containerConfig('main', FOREVER));
  });
  afterAll(() => test.stop());

  it.each([
    'Version',
    'Status',
    'RuntimeConfig',
    'ListPodSandbox',
    'ListContainers',
    'ListImages',
    'ImageFsInfo',
  ] as const)('are not made by %s', async (method) => {
    expect(await test.countEngineCalls(() => test.client.call(method, {}))).toEqual({});
  });

  it('are not made by the status calls', async () => {
    const calls = await test.countEngineCalls(async () => {
      await test.client.call('Status', { verbose: true });
      await test.client.call('PodSandboxStatus', { pod_sandbox_id: pod, verbose: true });
      await test.client.call('ContainerStatus', { container_id: container, verbose: true });
      const { image } = await test.client.call('ImageStatus', {
        image: { image: TEST_IMAGE },
        verbose: true,
      });
      expect((image as Decoded<cri.IImage>).id).toMatch(/^sha256:/);
    });
    expect(calls).toEqual({});
  });

  it('are as few as documented for calls that change something', async () => {
    const ids: [string, string] = ['', ''];
    expect(await test.countEngineCalls(async () => (ids[0] = await runPod(test, podConfig(test))))).toEqual({
      createContainer: 1,
      startContainer: 1,
      inspectContainer: 1,
    });
    const config = containerConfig('main', 'sleep 1000');
    expect(
      await test.countEngineCalls(async () => (ids[1] = await createContainer(test, ids[0], config))),
    ).toEqual({ createContainer: 1 });
    const [pod_sandbox_id, container_id] = ids;
    expect(await test.countEngineCalls(() => test.client.call('StartContainer', { container_id }))).toEqual({
      startContainer: 1,
      inspectContainer: 1,
    });
    // Waits for the first measurement of the layer. If the container ends before that, dockbridge asks the
    // Engine.
    await test.client.call('ListPodSandboxMetrics', {});
    expect(
      await test.countEngineCalls(() => test.client.call('StopContainer', { container_id, timeout: 10 })),
    ).toEqual({ stopContainer: 1, inspectContainer: 1 });
    expect(
      await test.countEngineCalls(() => test.client.call('StopContainer', { container_id, timeout: 10 })),
    ).toEqual({});
    expect(await test.countEngineCalls(() => test.client.call('RemoveContainer', { container_id }))).toEqual({
      removeContainer: 1,
    });
    expect(await test.countEngineCalls(() => test.client.call('RemoveContainer', { container_id }))).toEqual(
      {},
    );
    expect(await test.countEngineCalls(() => test.client.call('StopPodSandbox', { pod_sandbox_id }))).toEqual(
      {
        stopContainer: 1,
      },
    );
    expect(
      await test.countEngineCalls(() => test.client.call('RemovePodSandbox', { pod_sandbox_id })),
    ).toEqual({ removeContainer: 1 });
  });

  it('are one SIGKILL for a container that must end at once', async () => {
    const pod_sandbox_id = await runPod(test, podConfig(test));
    // These containers would end with exit code 0 at the stop signal.
    const mild = (name: string): ReturnType<typeof containerConfig> =>
      containerConfig(name, "trap 'exit 0' TERM; while :; do sleep 0.1; done");
    const container_id = await startedContainer(test, pod_sandbox_id, mild('one'));
    const other = await startedContainer(test, pod_sandbox_id, mild('other'));
    const stop = (): Promise<unknown> => test.client.call('StopContainer', { container_id, timeout: 0 });
    await test.client.call('ListPodSandboxMetrics', {});
    /** Counts the calls without inspects, because an event that takes more than a second causes another one. */
    const changes = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
      const { inspectContainer: _, ...others } = await test.countEngineCalls(work);
      return others;
    };
    expect(await changes(stop)).toEqual({ killContainer: 1 });
    expect(await test.countEngineCalls(stop)).toEqual({});
    const stopPod = (): Promise<unknown> => test.client.call('StopPodSandbox', { pod_sandbox_id });
    expect(await changes(stopPod)).toEqual({ killContainer: 1, stopContainer: 1 });
    for (const id of [container_id, other])
      expect(await containerStatus(test, id)).toMatchObject({ exit_code: 137, reason: 'Error' });
  });

  it('succeed for a container that ends at the moment of its kill', async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, async (_, at) =>
        startedContainer(test, pod, containerConfig(`brief-${at}`, `sleep 0.${at}`)),
      ),
    );
    await Promise.all(
      ids.map((container_id) => test.client.call('StopContainer', { container_id, timeout: 0 })),
    );
    for (const id of ids)
      expect((await containerStatus(test, id)).state).toBe(ContainerState.CONTAINER_EXITED);
  });

  it('include one inspect of a container that ends by itself, which returns the time of its end', async () => {
    const id = await startedContainer(
      test,
      pod,
      containerConfig('short', 'until [ -e /go ]; do sleep 0.3; done'),
    );
    const exec = (): Promise<unknown> =>
      test.client.call('ExecSync', { container_id: id, cmd: ['touch', '/go'], timeout: 10 });
    expect(
      await test.countEngineCalls(async () => {
        await exec();
        await untilExited(test, id);
      }),
    ).toEqual({ createExec: 1, startExec: 1, inspectExec: 1, inspectContainer: 1 });
  });
});
