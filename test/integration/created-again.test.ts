import type { DockerClient } from '../../src/docker/client';
import { unavailable } from '../../src/lib/errors';
import type { cri } from '../../src/proto';
import { ContainerState, NamespaceMode, Protocol } from '../../src/proto/enums';
import { TestDaemon } from './support/daemon';
import { engineCall, engineGet, sharedDockerHost, USER_IMAGE } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerStatus,
  createContainer,
  FOREVER,
  freshConfig,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
  untilStore,
} from './support/pods';
import { standingIn, type StandIns } from './support/stand-in';

let test: TestDaemon;
let pod: string;
let engine!: DockerClient;
const faults: StandIns = {};
beforeAll(async () => {
  test = await TestDaemon.start({
    wrapDocker: (client) => {
      engine = client;
      return standingIn(faults)(client);
    },
  });
  pod = await runPod(test);
});
afterEach(() => {
  faults.createContainer = undefined;
  faults.removeContainer = undefined;
});
afterAll(() => test.stop());

interface Inspect {
  Id: string;
  Name: string;
  Config: { Image: string; Env: string[]; Hostname: string; Labels: Record<string, string> };
  HostConfig: object;
}

const inspect = async (id: string): Promise<Inspect> =>
  (await engineGet(sharedDockerHost(), `/containers/${id}/json`)) as Inspect;

/** Returns the ids of the Engine's containers whose names contain `part`. */
const namesOf = async (part: string): Promise<string[]> => {
  const filters = encodeURIComponent(JSON.stringify({ name: [part] }));
  const found = await engineGet(sharedDockerHost(), `/containers/json?all=1&filters=${filters}`);
  return (found as Inspect[]).map(({ Id }) => Id);
};

/**
 * Replaces a container by one with the same Engine body, but without the contents in its label, as an older
 * version of dockbridge would have made it. `remove` removes the first container. @returns the new id.
 */
const madeByAnOlderVersion = async (id: string, remove: () => Promise<unknown>): Promise<string> => {
  const { Name, Config, HostConfig } = await inspect(id);
  const label = 'io.dockbridge.cri';
  const extra = JSON.parse(Config.Labels[label] ?? '') as Record<string, unknown>;
  const Labels = { ...Config.Labels, [label]: JSON.stringify({ ...extra, contents: undefined }) };
  await remove();
  // A container that joins its pod's network cannot have a host name of its own.
  const json = { ...Config, Labels, HostConfig, Hostname: '' };
  const made = await engineCall(sharedDockerHost(), 'POST', `/containers/create?name=${Name.slice(1)}`, {
    json,
  });
  return (made as Inspect).Id;
};

const env = (...pairs: readonly string[]): cri.IKeyValue[] =>
  pairs.map((pair) => {
    const [key = '', value = ''] = pair.split('=');
    return { key, value: Buffer.from(value) };
  });

describe('CreateContainer for a name and attempt that exist', () => {
  const base = (): cri.IContainerConfig =>
    freshConfig(FOREVER, {
      envs: env('A=1', 'B=2'),
      labels: { a: '1', b: '2' },
      annotations: { a: '1' },
      mounts: [{ container_path: '/m', host_path: '/tmp' }],
      linux: { resources: { memory_limit_in_bytes: 64 << 20, cpu_shares: 512 } },
    });

  const others: Record<string, cri.IContainerConfig> = {
    'another variable': { envs: env('A=1', 'B=3') },
    'one variable fewer': { envs: env('A=1') },
    'one more label, which is empty': { labels: { a: '1', b: '2', c: '' } },
    'another annotation': { annotations: { a: '2' } },
    'another image': { image: { image: USER_IMAGE } },
    'another command': { command: ['/bin/sh', '-c', 'exec sleep 1001'] },
    'arguments in another order': { command: ['/bin/sh', 'exec sleep 1000', '-c'] },
    'another mount': { mounts: [{ container_path: '/m', host_path: '/var/tmp' }] },
    'a read-only mount': { mounts: [{ container_path: '/m', host_path: '/tmp', readonly: true }] },
    'another limit': { linux: { resources: { memory_limit_in_bytes: 65 << 20, cpu_shares: 512 } } },
    'an explicit user 0': {
      linux: {
        resources: { memory_limit_in_bytes: 64 << 20, cpu_shares: 512 },
        security_context: { run_as_user: { value: 0 } },
      },
    },
    'another log path': { log_path: 'other.log' },
    'a terminal': { tty: true },
  };

  it.each(Object.entries(others))(
    'replaces a container that was not started, for a request with %s',
    async (_what, change) => {
      const config = base();
      const name = config.metadata?.name ?? '';
      const first = await createContainer(test, pod, config);
      const second = await createContainer(test, pod, { ...config, ...change });
      expect(second).not.toBe(first);
      expect(await namesOf(`k8s_${name}_`)).toEqual([second]);
      await expectFailure(containerStatus(test, first), 'NOT_FOUND', first);
      expect(await createContainer(test, pod, { ...config, ...change })).toBe(second);
    },
  );

  it('returns a container with the contents of the last call, even after a restart', async () => {
    const config = base();
    await createContainer(test, pod, config);
    const second = await createContainer(test, pod, { ...config, envs: env('A=new') });
    expect((await inspect(second)).Config.Env).toContain('A=new');
    await test.restart();
    await test.synced();
    expect(await createContainer(test, pod, { ...config, envs: env('A=new') })).toBe(second);
    const third = await createContainer(test, pod, { ...config, envs: env('A=newer') });
    expect((await inspect(third)).Config.Env).toContain('A=newer');
  });

  it('returns the same container for the same contents in another order', async () => {
    const config = base();
    const first = await createContainer(test, pod, config);
    const turned = { ...config, envs: env('B=2', 'A=1'), labels: { b: '2', a: '1' } };
    expect(await createContainer(test, pod, turned)).toBe(first);
  });

  it('replaces a container that a lost call made with other contents', async () => {
    const config = base();
    faults.createContainer = async (...args) => {
      // Only a call that the Engine accepts is lost here. An Engine whose log-opts contradict ours refuses
      // the first of two requests.
      await engine.createContainer(...args);
      faults.createContainer = undefined;
      throw unavailable('torn');
    };
    await expectFailure(createContainer(test, pod, config), 'UNAVAILABLE', /torn/);
    const id = await createContainer(test, pod, { ...config, envs: env('A=new') });
    expect((await inspect(id)).Config.Env).toContain('A=new');
    expect(await namesOf(`k8s_${config.metadata?.name ?? ''}_`)).toEqual([id]);
  });

  it('replaces a container whose label does not record the request', async () => {
    const config = base();
    const container_id = await createContainer(test, pod, config);
    const left = await madeByAnOlderVersion(container_id, () =>
      test.client.call('RemoveContainer', { container_id }),
    );
    const id = await createContainer(test, pod, config);
    expect(id).not.toBe(left);
    expect(await namesOf(`k8s_${config.metadata?.name ?? ''}_`)).toEqual([id]);
  });

  it('leaves one container of different simultaneous requests, with the contents of its own request', async () => {
    const config = base();
    const values = ['1', '2', '3', '4'];
    const ids = await Promise.all(
      values.map((value) => createContainer(test, pod, { ...config, envs: env(`A=${value}`) })),
    );
    expect(new Set(ids).size).toBe(ids.length);
    const left = await namesOf(`k8s_${config.metadata?.name ?? ''}_`);
    expect(left).toHaveLength(1);
    expect((await inspect(left[0]!)).Config.Env).toContain(`A=${values[ids.indexOf(left[0]!)]}`);
  });

  it('never removes a container that is being started', async () => {
    for (let round = 0; round < 8; round++) {
      const config = base();
      const container_id = await createContainer(test, pod, config);
      const start = test.client.call('StartContainer', { container_id });
      const again = createContainer(test, pod, { ...config, envs: env('A=new') });
      const [started, created] = await Promise.allSettled([start, again]);
      expect([started.status, created.status].sort()).toEqual(['fulfilled', 'rejected']);
      const { containers } = await test.client.call('ListContainers', {
        filter: { id: created.status === 'fulfilled' ? created.value : container_id },
      });
      const { CONTAINER_CREATED, CONTAINER_RUNNING } = ContainerState;
      const state = created.status === 'fulfilled' ? CONTAINER_CREATED : CONTAINER_RUNNING;
      expect(containers.map((container) => container.state)).toEqual([state]);
    }
  });

  it('never removes a container that somebody else has started', async () => {
    const config = base();
    const id = await createContainer(test, pod, config);
    faults.removeContainer = async (...args) => {
      faults.removeContainer = undefined;
      await engine.startContainer(id);
      return engine.removeContainer(...args);
    };
    const again = createContainer(test, pod, { ...config, envs: env('A=new') });
    await expectFailure(again, 'ALREADY_EXISTS', new RegExp(`${id} \\(running\\)`));
    expect((await containerStatus(test, id)).state).toBe(ContainerState.CONTAINER_RUNNING);
  });

  it('refuses another request if the container was started, and names the differences', async () => {
    const config = base();
    const id = await startedContainer(test, pod, config);
    const changed = { ...config, envs: env('A=new'), linux: {} };
    await expectFailure(
      createContainer(test, pod, changed),
      'ALREADY_EXISTS',
      new RegExp(
        `${id} \\(running\\) and differs in config.envs, config.linux.resources; use another attempt`,
      ),
    );
    expect((await containerStatus(test, id)).state).toBe(ContainerState.CONTAINER_RUNNING);
  });

  it('replaces a container whose image tag has moved since', async () => {
    const tag = 'dockbridge.test/moving:1';
    const path = (image: string): string =>
      `/images/${encodeURIComponent(image)}/tag?repo=dockbridge.test/moving&tag=1`;
    const until = async (image: string): Promise<void> => {
      const { image: wanted } = await test.client.call('ImageStatus', { image: { image } });
      await engineCall(sharedDockerHost(), 'POST', path(image));
      for (;;) {
        const { image: now } = await test.client.call('ImageStatus', { image: { image: tag } });
        if (now?.id === wanted?.id) return;
      }
    };
    const config = { ...base(), image: { image: tag } };
    try {
      await until(USER_IMAGE);
      const first = await createContainer(test, pod, config);
      expect(await createContainer(test, pod, config)).toBe(first);
      await until('dockbridge.test/busybox:1');
      const second = await createContainer(test, pod, config);
      expect(second).not.toBe(first);
    } finally {
      await engineCall(sharedDockerHost(), 'DELETE', `/images/${encodeURIComponent(tag)}`);
    }
  });
});

describe('RunPodSandbox for a name and attempt that exist', () => {
  const base = (): cri.IPodSandboxConfig =>
    podConfig(test, {
      labels: { a: '1', b: '2' },
      annotations: { a: '1' },
      dns_config: { servers: ['10.0.0.10'], searches: ['a.test', 'b.test'] },
      linux: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' }, overhead: { cpu_shares: 2 } },
    });

  const others: Record<string, { change: cri.IPodSandboxConfig; field: string }> = {
    'another host name': { change: { hostname: 'other' }, field: 'config.hostname' },
    'another label': { change: { labels: { a: '1', b: '3' } }, field: 'config.labels' },
    'another annotation': { change: { annotations: { a: '2' } }, field: 'config.annotations' },
    'another DNS server': {
      change: { dns_config: { servers: ['10.0.0.11'], searches: ['a.test', 'b.test'] } },
      field: 'config.dns_config',
    },
    'search domains in another order': {
      change: { dns_config: { servers: ['10.0.0.10'], searches: ['b.test', 'a.test'] } },
      field: 'config.dns_config',
    },
    'another log directory': { change: { log_directory: '/tmp/other' }, field: 'config.log_directory' },
    'a host port': {
      change: { port_mappings: [{ protocol: Protocol.TCP, container_port: 80, host_port: 0 }] },
      field: 'config.port_mappings',
    },
    'another sysctl': {
      change: { linux: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '81' } } },
      field: 'config.linux.sysctls',
    },
    'the node’s network': {
      change: {
        linux: {
          sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
          security_context: { namespace_options: { network: NamespaceMode.NODE } },
        },
      },
      field: 'config.linux.security_context',
    },
  };

  it.each(Object.entries(others))('refuses a request with %s', async (_what, { change, field }) => {
    const config = base();
    const id = await runPod(test, config);
    const again = runPod(test, { ...config, ...change });
    await expectFailure(again, 'ALREADY_EXISTS', new RegExp(`${id} .* and differs in ${field};`));
    expect(await namesOf(`k8s_POD_${config.metadata?.name ?? ''}_`)).toEqual([id]);
    expect(await runPod(test, config)).toBe(id);
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: id });
  });

  it('refuses a request with another handler', async () => {
    const config = base();
    const pod_sandbox_id = await runPod(test, config);
    await expectFailure(
      test.client.call('RunPodSandbox', { config, runtime_handler: 'runc' }),
      'ALREADY_EXISTS',
      /and differs in runtime_handler;/,
    );
    await test.client.call('RemovePodSandbox', { pod_sandbox_id });
  });

  it('returns the same sandbox if only the order or informative fields differ, even after a restart', async () => {
    const config = base();
    const id = await runPod(test, config);
    const turned = {
      ...config,
      labels: { b: '2', a: '1' },
      linux: { ...config.linux, overhead: { cpu_shares: 4 }, resources: { cpu_shares: 8 } },
    };
    expect(await runPod(test, turned)).toBe(id);
    await test.restart();
    await test.synced();
    expect(await runPod(test, turned)).toBe(id);
    await expectFailure(runPod(test, { ...config, hostname: 'other' }), 'ALREADY_EXISTS', id);
  });

  it('returns a sandbox whose label does not record the request, because its name matches', async () => {
    const config = base();
    const pod_sandbox_id = await runPod(test, config);
    const left = await madeByAnOlderVersion(pod_sandbox_id, () =>
      test.client.call('RemovePodSandbox', { pod_sandbox_id }),
    );
    await engineCall(sharedDockerHost(), 'POST', `/containers/${left}/start`);
    await untilStore(test, () => test.daemon.store.sandboxes.get(left)?.state === 'running');
    expect(await runPod(test, { ...config, hostname: 'other' })).toBe(left);
  });

  it('makes one sandbox for different simultaneous requests, and refuses all but one', async () => {
    const config = base();
    const names = ['one', 'two', 'three'];
    const results = await Promise.allSettled(names.map((hostname) => runPod(test, { ...config, hostname })));
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    const [id] = await namesOf(`k8s_POD_${config.metadata?.name ?? ''}_`);
    expect((await inspect(id!)).Config.Hostname).toBe(names[won]);
    expect(await sandboxStatus(test, id!)).toMatchObject({ id });
  });
});
