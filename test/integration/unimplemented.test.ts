import { IMAGE_CODECS, RUNTIME_CODECS } from '../../src/proto/methods';
import { TestDaemon } from './support/daemon';
import { expectFailure, RawClient } from './support/grpc';

/** A method leaves this test by being added here, with tests of its own. */
const BUILT = new Set([
  'StreamPodSandboxMetrics',
  'CheckpointContainer',
  'GetContainerEvents',
  'StreamPodSandboxes',
  'StreamContainers',
  'StreamImages',
  'StreamContainerStats',
  'StreamPodSandboxStats',
  'ReopenContainerLog',
  'Version',
  'Status',
  'RuntimeConfig',
  'UpdateRuntimeConfig',
  'RunPodSandbox',
  'StopPodSandbox',
  'RemovePodSandbox',
  'PodSandboxStatus',
  'ListPodSandbox',
  'CreateContainer',
  'StartContainer',
  'StopContainer',
  'RemoveContainer',
  'ListContainers',
  'ContainerStatus',
  'UpdateContainerResources',
  'UpdatePodSandboxResources',
  'ExecSync',
  'Exec',
  'Attach',
  'PortForward',
  'PullImage',
  'ImageStatus',
  'ListImages',
  'RemoveImage',
  'ImageFsInfo',
  'ContainerStats',
  'ListContainerStats',
  'PodSandboxStats',
  'ListPodSandboxStats',
  'ListMetricDescriptors',
  'ListPodSandboxMetrics',
]);
const LATER = Object.entries({ ...RUNTIME_CODECS, ...IMAGE_CODECS })
  .map(([name, { streams }]) => ({ name, streams }))
  .filter(({ name }) => !BUILT.has(name));

describe('RPCs of later issues', () => {
  let test: TestDaemon;
  let client: RawClient;
  beforeAll(async () => {
    test = await TestDaemon.start();
    client = new RawClient(test.endpoint);
  });
  afterAll(async () => {
    client.close();
    await test.stop();
  });

  it('are all that is not built', () => {
    expect(LATER.length + BUILT.size).toBe(43);
  });

  it.each(LATER)('$name answers UNIMPLEMENTED', async ({ name, streams }) => {
    const call = streams ? client.stream(name, {}) : client.open(name, {}).ended;
    await expectFailure(call, 'UNIMPLEMENTED', /./);
  });
});
