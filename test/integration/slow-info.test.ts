import { ChildDaemon } from './support/child-daemon';
import { sharedDockerHost } from './support/engine';
import { EngineProxy, onCalls } from './support/engine-proxy';
import { expectFailure } from './support/grpc';

const INFO = /^GET (\/v[\d.]+)?\/info$/;
const HANG = { kind: 'hang', when: 'before' } as const;

// This is longer than a busy machine needs, and shorter than an Engine call that hangs may take.
jest.setTimeout(110_000);

describe('an Engine that does not answer /info', () => {
  let proxy: EngineProxy;
  let daemon: ChildDaemon;

  beforeEach(async () => {
    proxy = await EngineProxy.start(sharedDockerHost());
  });
  afterEach(async () => {
    proxy.heal();
    await daemon.stop();
    await proxy.stop();
  });

  async function runtimeReady() {
    const { status } = await daemon.client.call('Status', {});
    return status?.conditions.find(({ type }) => type === 'RuntimeReady');
  }

  const runPod = async (name: string): Promise<string> => {
    const config = { metadata: { name, uid: name, namespace: 'info', attempt: 0 }, linux: {} };
    return (await daemon.client.call('RunPodSandbox', { config })).pod_sandbox_id;
  };

  it('because the first request was lost gets another request, and the node is served', async () => {
    proxy.obey(onCalls(INFO, HANG, 1));
    daemon = await ChildDaemon.start([], proxy.dockerHost);
    expect(await runtimeReady()).toMatchObject({ status: true, reason: '', message: '' });
    await runPod('lost');
  });

  it('to the first daemon of a node is reported in Status, and calls without facts work', async () => {
    proxy.obey(onCalls(INFO, HANG));
    daemon = await ChildDaemon.start([], proxy.dockerHost, 'Serving CRI');
    expect((await daemon.client.call('ListContainers', {})).containers).toEqual([]);
    await proxy.until(({ hanging }) => hanging.length === 2);
    expect(await runtimeReady()).toMatchObject({
      status: false,
      reason: 'DockerDaemonNotReady',
      message: 'Docker Engine has not answered /info yet',
    });
    proxy.heal();
    await daemon.says();
    await runPod('late');
  });

  it('to the next daemon is used with the facts that it reported earlier', async () => {
    daemon = await ChildDaemon.start([], proxy.dockerHost);
    const before = await runPod('before');
    await daemon.kill9();
    proxy.obey(onCalls(INFO, HANG));
    await daemon.launch();
    const after = await runPod('after');
    const { items } = await daemon.client.call('ListPodSandbox', {});
    expect(items.map(({ id }) => id).sort()).toEqual([before, after].sort());
    // The cgroup driver may have changed, and kubelet asks for it only once.
    await expectFailure(daemon.client.call('RuntimeConfig', {}), 'UNAVAILABLE', /cgroup driver/);
    await proxy.until(({ hanging }) => hanging.length === 2);
    expect(await runtimeReady()).toMatchObject({
      status: true,
      reason: 'DockerInfoHangs',
      message: expect.stringContaining('/info') as string,
    });
    expect(daemon.log.filter(({ message }) => message.includes('using its earlier answer'))).toHaveLength(1);
    proxy.heal();
    await proxy.until(({ hanging }) => hanging.length === 0);
  });
});
