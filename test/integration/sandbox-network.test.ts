import { get } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { containerConfig, output, podConfig, runPod, sandboxStatus, startedContainer } from './support/pods';

describe("a pod on the Engine's bridge", () => {
  let test: TestDaemon;
  beforeAll(async () => (test = await TestDaemon.start()));
  afterAll(() => test.stop());

  /** Starts a web server in the pod, which answers when this resolves. */
  const serve = async (pod: string): Promise<void> => {
    const id = await startedContainer(test, pod, containerConfig('web', 'exec httpd -f -p 80 -h /www'));
    await output(test, id, 'until wget -q -O - http://127.0.0.1/ 2>/dev/null; do :; done');
  };

  it('can be reached from the node at the IP of its status, with no port published', async () => {
    const pod = await runPod(test);
    const { network } = await sandboxStatus(test, pod);
    expect(network?.ip).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(network?.additional_ips).toEqual([]);
    await serve(pod);
    expect(await fetchText(network!.ip, 80)).toBe('ok\n');
  });

  it('keeps its IP across a restart of the daemon', async () => {
    const pod = await runPod(test);
    const before = (await sandboxStatus(test, pod)).network;
    await test.restart();
    expect(before?.ip).not.toBe('');
    expect((await sandboxStatus(test, pod)).network).toEqual(before);
  });

  it('answers on a published host port', async () => {
    const host_port = await freePort();
    const mapping = { container_port: 80, host_port, host_ip: '127.0.0.1' };
    const pod = await runPod(test, podConfig(test, { port_mappings: [mapping] }));
    await serve(pod);
    expect(await fetchText('127.0.0.1', host_port)).toBe('ok\n');
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    await expect(fetchText('127.0.0.1', host_port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('publishes nothing for host port 0', async () => {
    const port_mappings = [{ container_port: 80, host_port: 0 }];
    const pod = await runPod(test, podConfig(test, { port_mappings }));
    const inspect = (await engineGet(sharedDockerHost(), `/containers/${pod}/json`)) as {
      NetworkSettings: { Ports: object };
    };
    expect(inspect.NetworkSettings.Ports).toEqual({});
  });

  it('leaves nothing behind when its host port is taken, and can be tried again', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const host_port = (holder.address() as AddressInfo).port;
    const config = podConfig(test, {
      port_mappings: [{ container_port: 80, host_port, host_ip: '127.0.0.1' }],
    });
    const before = (await test.client.call('ListPodSandbox', {})).items.length;
    try {
      await expect(runPod(test, config)).rejects.toMatchObject({
        details: expect.stringContaining(String(host_port)) as string,
      });
      expect((await test.client.call('ListPodSandbox', {})).items).toHaveLength(before);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
    expect(await runPod(test, config)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('releases its IP when it is stopped', async () => {
    const pod = await runPod(test);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect((await sandboxStatus(test, pod)).network?.ip).toBe('');
  });
});

async function fetchText(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host, port, agent: false, timeout: 5000 }, (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      reply.on('end', () => resolve(text)).on('error', reject);
    }).on('error', reject);
  });
}

/** Returns a port that was free a moment ago. The kernel gives it to nobody else so soon. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
