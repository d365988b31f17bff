import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { cri } from '../../src/proto';
import { ContainerState, NamespaceMode } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
} from './support/pods';

const run = promisify(execFile);

describe('a container that cannot start', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    test = await TestDaemon.start();
    pod = await runPod(test);
    await mkdir(join(test.directory, 'directory'));
    await writeFile(join(test.directory, 'file'), '');
    await mkdir(join(test.directory, 'private'));
    await run('mount', ['-t', 'tmpfs', 'dockbridge-test', join(test.directory, 'private')]);
    await run('mount', ['--make-private', join(test.directory, 'private')]);
  });
  afterAll(async () => {
    await run('umount', [join(test.directory, 'private')]);
    await test.stop();
  });

  const mount = (name: string, container_path: string): cri.IContainerConfig => ({
    mounts: [{ host_path: join(test.directory, name), container_path }],
  });

  it.each<{ name: string; more: () => cri.IContainerConfig; why: RegExp; meanwhile?: () => Promise<void> }>([
    {
      name: 'command-of-path',
      more: () => ({ command: ['/no/such'] }),
      why: /^command not found: "\/no\/such" is not in the image/,
    },
    { name: 'command', more: () => ({ command: ['no-such'] }), why: /^command not found: "no-such"/ },
    {
      name: 'permission',
      more: () => ({ command: ['/etc/passwd'] }),
      why: /^permission denied: "\/etc\/passwd" is not executable/,
    },
    {
      name: 'device',
      more: () => ({
        devices: [{ host_path: '/dev/absent', container_path: '/dev/x', permissions: 'r' }],
      }),
      why: /^device missing: "\/dev\/absent".*, see config\.devices \(/,
    },
    {
      name: 'kernel-target',
      more: () => mount('directory', '/proc'),
      why: /^cannot mount "\/.*\/directory" on "\/proc": the kernel owns that path, see config\.mounts\[0\]\.container_path/,
    },
    {
      name: 'target-below-file',
      more: () => mount('directory', '/etc/passwd/x'),
      why: /^cannot mount "\/.*\/directory" on "\/etc\/passwd\/x": a part of that path is a file.*, see config\.mounts\[0\]\.container_path/,
    },
    {
      name: 'propagation',
      more: () => ({
        mounts: [{ host_path: join(test.directory, 'private'), container_path: '/m', propagation: 2 }],
      }),
      why: /^mount propagation: "\/.*\/private" is not on a shared mount.*, see config\.mounts\[0\]\.propagation/,
    },
    {
      name: 'directory-on-file',
      more: () => mount('directory', '/etc/passwd'),
      why: /^cannot mount "\/.*\/directory" on "\/?etc\/passwd": one is a directory/,
    },
    {
      name: 'file-on-directory',
      more: () => mount('file', '/etc'),
      why: /^cannot mount "\/.*\/file" on "\/?etc": one is a directory/,
    },
    {
      name: 'source-gone',
      more: () => mount('directory', '/m'),
      meanwhile: () => rm(join(test.directory, 'directory'), { recursive: true }),
      why: /^mount source missing: "\/.*\/directory" does not exist on the node, see config\.mounts\[0\]\.host_path/,
    },
  ])(
    'reports the cause, has exited, and leaves no process behind: $name',
    async ({ name, more, why, meanwhile }) => {
      const container_id = await createContainer(test, pod, containerConfig(name, FOREVER, more()));
      await meanwhile?.();
      await expectFailure(test.client.call('StartContainer', { container_id }), 'FAILED_PRECONDITION', why);
      const status = await containerStatus(test, container_id);
      expect(status).toMatchObject({
        state: ContainerState.CONTAINER_EXITED,
        reason: 'StartError',
        exit_code: 128,
        message: expect.stringMatching(why) as string,
      });
      expect(status.finished_at.greaterThan(0)).toBe(true);
      const { containers } = await test.client.call('ListContainers', { filter: { id: container_id } });
      expect(containers.map(({ state }) => state)).toEqual([ContainerState.CONTAINER_EXITED]);
      expect(await processesNaming(container_id)).toEqual([]);
      // StopContainer succeeds, and RemoveContainer removes the container.
      await test.client.call('StopContainer', { container_id, timeout: 1 });
      await test.client.call('RemoveContainer', { container_id });
      await expectFailure(test.client.call('ContainerStatus', { container_id }), 'NOT_FOUND');
    },
  );

  it('makes room for its next attempt', async () => {
    const config = containerConfig('again', FOREVER, { command: ['no-such'] });
    const first = await createContainer(test, pod, config);
    await expectFailure(
      test.client.call('StartContainer', { container_id: first }),
      'FAILED_PRECONDITION',
      /^command not found/,
    );
    const metadata = { name: 'again', attempt: 1 };
    const second = await createContainer(test, pod, { ...containerConfig('again', FOREVER), metadata });
    await test.client.call('StartContainer', { container_id: second });
    expect((await containerStatus(test, second)).state).toBe(ContainerState.CONTAINER_RUNNING);
  });
});

describe('a pod that cannot start', () => {
  let test: TestDaemon;
  beforeAll(async () => {
    test = await TestDaemon.start();
  });
  afterAll(() => test.stop());

  const host = { namespace_options: { network: NamespaceMode.NODE } };
  it.each<{ what: string; sysctls: Record<string, string>; more?: object; why: RegExp }>([
    { what: 'of the node', sysctls: { 'vm.swappiness': '1' }, why: /^sysctl refused: vm\.swappiness/ },
    { what: 'that nobody knows', sysctls: { 'net.ipv4.nope': '1' }, why: /^sysctl unknown: net\.ipv4\.nope/ },
    {
      what: 'with an invalid value',
      sysctls: { 'net.ipv4.ip_forward': 'abc' },
      why: /^sysctl refused: the kernel does not accept that value for net\.ipv4\.ip_forward/,
    },
    {
      what: 'with an empty value that must be a number',
      sysctls: { 'net.ipv4.ip_forward': '' },
      why: /^sysctl refused: the kernel does not accept that value for net\.ipv4\.ip_forward/,
    },
    {
      what: 'of the network of a pod on the node’s network',
      sysctls: { 'net.ipv4.ip_forward': '1' },
      more: { security_context: host },
      why: /^sysctl refused: net\.ipv4\.ip_forward/,
    },
  ])('names the field of a sysctl $what, and leaves no sandbox behind', async ({ sysctls, more, why }) => {
    const config = podConfig(test, { linux: { sysctls, ...more } });
    const failure = test.client.call('RunPodSandbox', { config });
    await expectFailure(
      failure,
      'FAILED_PRECONDITION',
      new RegExp(`${why.source}.*, see config.linux.sysctls`),
    );
    expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  });

  it('names the field of a host port that another pod has', async () => {
    const port_mappings = [{ container_port: 80, host_port: 18_099 }];
    await runPod(test, podConfig(test, { port_mappings }));
    await expectFailure(
      runPod(test, podConfig(test, { port_mappings })),
      'FAILED_PRECONDITION',
      /^host port taken: .*18099.*, see config\.port_mappings/,
    );
  });
});

/** Returns the command lines that contain the id, such as those of shims and runtimes. */
async function processesNaming(id: string): Promise<string[]> {
  const commands = (await readdir('/proc'))
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  return (await Promise.all(commands)).filter((command) => command.includes(id));
}
