import { readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { cri } from '../../src/proto';
import { NamespaceMode, Protocol } from '../../src/proto/enums';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/translate/sandbox/cri-dockerd-checkpoint';
import { until } from '../unit/support/async';
import { engineId } from '../unit/support/records';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost } from './support/engine';
import { podConfig, runPod, untilStore } from './support/pods';

const PORTS: cri.IPortMapping[] = [
  { protocol: Protocol.TCP, container_port: 80, host_port: 18_080, host_ip: '127.0.0.1' },
  { protocol: Protocol.UDP, container_port: 53, host_port: 15_353 },
  { protocol: Protocol.TCP, container_port: 443 },
];

let test: TestDaemon;
/** The text of each checkpoint at the moment when the Engine was asked to start the container. */
let atStart: Map<string, string>;

const directory = (): string => join(test.directory, 'cri-dockerd/sandbox');
const textOf = (id: string): Promise<string> => readFile(join(directory(), id), 'utf8').catch(() => '');

/** Starts a daemon, and fills `atStart` from then on. */
async function start(): Promise<TestDaemon> {
  atStart = new Map();
  return TestDaemon.start({
    // A busy machine may need longer for the first inspect than calls usually wait.
    linkTimes: { writePatience: 30_000 },
    wrapDocker: (client) => {
      const startContainer = client.startContainer.bind(client);
      client.startContainer = async (id, options) => {
        atStart.set(id, await textOf(id));
        await startContainer(id, options);
      };
      return client;
    },
  });
}

beforeAll(async () => {
  test = await start();
  await mkdir(directory(), { recursive: true });
});

afterAll(() => test.stop());

describe("cri-dockerd's checkpoint of a pod", () => {
  it('exists before the sandbox starts, with all its ports, and is removed with it', async () => {
    const config = podConfig(test, { port_mappings: PORTS });
    const id = await runPod(test, config);
    expect(decodeCheckpoint(atStart.get(id) ?? '')).toEqual({
      name: config.metadata?.name,
      namespace: 'test',
      hostNetwork: false,
      isSound: true,
      ports: [
        { protocol: 'tcp', containerPort: 80, hostPort: 18_080, hostIp: '127.0.0.1' },
        { protocol: 'udp', containerPort: 53, hostPort: 15_353, hostIp: '' },
        { protocol: 'tcp', containerPort: 443, hostPort: 0, hostIp: '' },
      ],
    });
    expect(await textOf(id)).toBe(atStart.get(id));
    await test.client.call('StopPodSandbox', { pod_sandbox_id: id });
    expect(await textOf(id)).toBe(atStart.get(id));
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
    expect(await readdir(directory())).toEqual([]);
  });

  it("says that a pod is on the host's network", async () => {
    const linux = { security_context: { namespace_options: { network: NamespaceMode.NODE } } };
    const id = await runPod(test, podConfig(test, { linux }));
    expect(decodeCheckpoint(await textOf(id))).toMatchObject({ hostNetwork: true, isSound: true, ports: [] });
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
  });

  it('is removed with a sandbox that somebody removes outside CRI', async () => {
    const id = await runPod(test);
    await engineCall(sharedDockerHost(), 'DELETE', `/containers/${id}?force=1`);
    await untilStore(test, () => test.daemon.store.sandboxes.get(id) === undefined);
    await until(() => readdirSync(directory()).length === 0, 'the checkpoint to go');
  });

  it('is completed after a restart if it was lost or torn, and removed if its sandbox is gone', async () => {
    const [lost, torn, gone] = [
      await runPod(test, podConfig(test, { port_mappings: PORTS })),
      await runPod(test),
      await runPod(test),
    ];
    const whole = await textOf(torn);
    const dockershims = join(test.directory, 'dockershim/sandbox');
    await test.restart(async () => {
      await writeFile(join(directory(), torn), whole.slice(0, 40));
      await writeFile(join(directory(), lost), '');
      await engineCall(sharedDockerHost(), 'DELETE', `/containers/${gone}?force=1`);
      // Stands for a daemon that was killed between its steps.
      await writeFile(join(directory(), `.${gone}.dockbridge`), '{');
      await mkdir(dockershims, { recursive: true });
      const stranger = { name: 'old', namespace: 'x', hostNetwork: false, ports: [] };
      await writeFile(join(dockershims, engineId('dead')), encodeCheckpoint(stranger));
    });
    await test.synced();
    expect((await readdir(directory())).sort()).toEqual([lost, torn].sort());
    expect(await readdir(dockershims)).toEqual([]);
    expect(await textOf(torn)).toBe(whole);
    // The checkpoint has the published ports, which a DEL needs.
    expect(decodeCheckpoint(await textOf(lost))).toMatchObject({
      isSound: true,
      ports: expect.arrayContaining([
        { protocol: 'tcp', containerPort: 80, hostPort: 18_080, hostIp: '127.0.0.1' },
        { protocol: 'udp', containerPort: 53, hostPort: 15_353, hostIp: '' },
      ]) as unknown,
    });
    for (const pod_sandbox_id of [lost, torn]) await test.client.call('RemovePodSandbox', { pod_sandbox_id });
    expect(await readdir(directory())).toEqual([]);
  });
});
