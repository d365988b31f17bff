import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { ContainerState } from '../../src/proto/enums';
import type { cri } from '../../src/proto';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { untilLogged } from './support/pods';
import { Serving } from './support/serving';

const EXAMPLES = join(__dirname, '../../examples');
const read = (name: string): string => readFileSync(join(EXAMPLES, name), 'utf8');

describe('pod.json and container.json', () => {
  const pod = JSON.parse(read('pod.json')) as cri.IPodSandboxConfig & { log_directory: string };
  const container = JSON.parse(read('container.json')) as cri.IContainerConfig & { image: { image: string } };
  let test: TestDaemon;

  beforeAll(async () => {
    test = await TestDaemon.start();
    await test.synced();
    const { image } = container.image;
    const at = image.lastIndexOf(':');
    const query = `repo=${image.slice(0, at)}&tag=${image.slice(at + 1)}`;
    // No registry can be reached, so the test provides the image of that name.
    await engineCall(sharedDockerHost(), 'POST', `/images/${TEST_IMAGE}/tag?${query}`);
    await mkdir(dirname(pod.log_directory), { recursive: true });
  });
  afterAll(async () => {
    await test.stop();
    await engineCall(sharedDockerHost(), 'DELETE', `/images/${container.image.image}`);
    await rm(pod.log_directory, { recursive: true, force: true });
  });

  it('run as a pod without changes', async () => {
    const { pod_sandbox_id } = await test.client.call('RunPodSandbox', { config: pod });
    const { container_id } = await test.client.call('CreateContainer', {
      pod_sandbox_id,
      config: container,
      sandbox_config: pod,
    });
    await test.client.call('StartContainer', { container_id });
    await untilLogged(join(pod.log_directory, container.log_path ?? ''), 'serving');
    const { status } = await test.client.call('ContainerStatus', { container_id });
    expect(status).toMatchObject({ state: ContainerState.CONTAINER_RUNNING });
    const cmd = ['/bin/sh', '-c', 'hostname; wc -l </etc/resolv.conf'];
    const { stdout } = await test.client.call('ExecSync', { container_id, cmd, timeout: 20 });
    // Without a dns_config the pod has the node's resolv.conf.
    expect(Buffer.from(stdout).toString()).toMatch(/^example\n[1-9]/);
  });
});

describe('the example files of a node', () => {
  const serving = new Serving();

  it('include a config.yaml without errors', async () => {
    const check = serving.start(['config', 'check', '--config', join(EXAMPLES, 'config.yaml')]);
    expect(await check.exit()).toBe(0);
    expect(check.stdout).toContain('0 errors, 0 warnings');
  });

  it("lead kubelet to dockbridge's default socket, in its file and by its flag", () => {
    const endpoint = 'unix:///var/run/cri-dockerd.sock';
    expect(parse(read('kubelet-config.yaml'))).toMatchObject({ containerRuntimeEndpoint: endpoint });
    expect(read('20-dockbridge.conf')).toContain(`--container-runtime-endpoint=${endpoint}"`);
  });

  it('are valid YAML or JSON', () => {
    const names = readdirSync(EXAMPLES);
    expect(names.sort()).toEqual([
      '20-dockbridge.conf',
      'RuntimeClass.yaml',
      'config.yaml',
      'container.json',
      'harness', // test/unit/cli/cri-examples.test.ts
      'kubelet-config.yaml',
      'pod.json',
      'standalone',
    ]);
    for (const name of names.filter((file) => /\.(yaml|json)$/.test(file)))
      expect(parseAllDocuments(read(name)).flatMap(({ errors }) => errors)).toEqual([]);
  });
});
