import type { cri, Decoded } from '../../src/proto';
import { TestDaemon } from './support/daemon';
import { TEST_IMAGE } from './support/engine';
import {
  containerConfig,
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
