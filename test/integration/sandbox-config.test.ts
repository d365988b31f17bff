import { readFile, readlink } from 'node:fs/promises';
import { posix } from 'node:path';
import type { cri } from '../../src/proto';
import { NamespaceMode, PodSandboxState } from '../../src/proto/enums';
import { readNodeRights } from '../../src/node/node-rights';
import { CGROUP_VERSION, podGroup, removeCgroups } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  FOREVER,
  output,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
} from './support/pods';

interface Inspect {
  Name: string;
  State: { Pid: number };
  Config: { Labels: Record<string, string>; Hostname: string };
  HostConfig: { OomScoreAdj: number; Runtime: string };
}

const inspect = async (id: string): Promise<Inspect> =>
  (await engineGet(sharedDockerHost(), `/containers/${id}/json`)) as Inspect;

describe('RunPodSandbox', () => {
  let test: TestDaemon;
  beforeAll(async () => (test = await TestDaemon.start()));
  afterAll(() => test.stop());

  const withNamespaces = (options: cri.INamespaceOption): cri.IPodSandboxConfig =>
    podConfig(test, { linux: { security_context: { namespace_options: options } } });

  it('makes a READY sandbox with its metadata, creation time and runtime handler', async () => {
    const before = Date.now();
    const config = podConfig(test, { metadata: { name: 'a.b-c', uid: 'u-1', namespace: 'ns', attempt: 3 } });
    const id = await runPod(test, config);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    const status = await sandboxStatus(test, id);
    expect(status).toMatchObject({
      id,
      metadata: { name: 'a.b-c', uid: 'u-1', namespace: 'ns', attempt: 3 },
      state: PodSandboxState.SANDBOX_READY,
      runtime_handler: '',
    });
    const createdMs = Number(status.created_at.toBigInt() / 1_000_000n);
    expect(createdMs).toBeGreaterThanOrEqual(before - 1000);
    expect(createdMs).toBeLessThanOrEqual(Date.now() + 1000);
  });

  it('makes a sandbox whose status contains the pid of the pause process only if the request is verbose', async () => {
    const id = await runPod(test);
    const plain = await test.client.call('PodSandboxStatus', { pod_sandbox_id: id });
    expect(plain.info).toEqual({});
    const { info } = await test.client.call('PodSandboxStatus', { pod_sandbox_id: id, verbose: true });
    expect(JSON.parse(info.info ?? '')).toMatchObject({ pid: (await inspect(id)).State.Pid });
  });

  it('keeps labels and annotations byte for byte, even after a restart of dockbridge', async () => {
    const labels = {
      app: 'web',
      empty: '',
      'annotation.x': 'a label all the same',
      'io.kubernetes.docker.type': 'mine',
      'io.kubernetes.container.name': 'mine too',
      'io.kubernetes.sandbox.id': 'and mine',
      'io.dockbridge.cri': '{"v":1}',
    };
    const annotations = {
      'kubernetes.io/config.seen': '2024-01-01T00:00:00.000000000Z',
      'annotation.x': 'doubly so',
      'io.kubernetes.docker.type': 'container',
      json: '{"a":[1,"ü\\n\\u0001"]}\n\t"ü€😀"',
      empty: '',
    };
    const id = await runPod(test, podConfig(test, { labels, annotations }));
    const check = async (): Promise<void> => {
      const status = await sandboxStatus(test, id);
      expect(status.labels).toEqual(labels);
      expect(status.annotations).toEqual(annotations);
      const { items } = await test.client.call('ListPodSandbox', { filter: { id } });
      expect(items).toHaveLength(1);
      expect(items[0]!.labels).toEqual(labels);
      expect(items[0]!.annotations).toEqual(annotations);
    };
    await check();
    await test.restart();
    await check();
  });

  it("uses cri-dockerd's names and labels on the Engine", async () => {
    const metadata = { name: 'web', uid: 'uid-names', namespace: 'prod', attempt: 2 };
    const config = podConfig(test, { metadata, labels: { app: 'web' }, annotations: { note: 'n' } });
    const pod = await runPod(test, config);
    const container = await startedContainer(
      test,
      pod,
      containerConfig('main', FOREVER, {
        metadata: { name: 'main', attempt: 4 },
        labels: { tier: 'front' },
        annotations: { 'io.kubernetes.container.hash': 'abc' },
        log_path: 'main/4.log',
      }),
    );
    const sandbox = await inspect(pod);
    expect(sandbox.Name).toBe('/k8s_POD_web_prod_uid-names_2');
    expect(sandbox.Config.Labels).toMatchObject({
      'io.kubernetes.docker.type': 'podsandbox',
      'io.kubernetes.container.name': 'POD',
      app: 'web',
      'annotation.note': 'n',
    });
    const main = await inspect(container);
    expect(main.Name).toBe('/k8s_main_web_prod_uid-names_4');
    expect(main.Config.Labels).toMatchObject({
      'io.kubernetes.docker.type': 'container',
      'io.kubernetes.sandbox.id': pod,
      'io.kubernetes.container.logpath': `${config.log_directory ?? ''}/main/4.log`,
      tier: 'front',
      'annotation.io.kubernetes.container.hash': 'abc',
    });
  });

  it('sets hostname and DNS for the whole pod', async () => {
    const pod = await runPod(
      test,
      podConfig(test, {
        hostname: 'my-host',
        dns_config: {
          servers: ['10.9.8.7', '10.9.8.6'],
          searches: ['ns.svc.cluster.local', 'cluster.local'],
          options: ['ndots:5'],
        },
      }),
    );
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    expect(await output(test, id, 'hostname')).toBe('my-host');
    const lines = (await output(test, id, 'cat /etc/resolv.conf')).split('\n');
    expect(lines.filter((line) => !line.startsWith('#') && line !== '').sort()).toEqual([
      'nameserver 10.9.8.6',
      'nameserver 10.9.8.7',
      'options ndots:5',
      'search ns.svc.cluster.local cluster.local',
    ]);
  });

  it("keeps the node's search domains out of a pod that asks for none", async () => {
    const pod = await runPod(test, podConfig(test, { dns_config: { servers: ['10.9.8.7'] } }));
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    const lines = (await output(test, id, 'cat /etc/resolv.conf')).split('\n');
    expect(lines.filter((line) => /^(nameserver|search|domain)/.test(line))).toEqual(['nameserver 10.9.8.7']);
  });

  it('accepts an empty value for a sysctl whose value is a list', async () => {
    const sysctls = { 'net.ipv4.ip_local_reserved_ports': '' };
    const pod = await runPod(test, podConfig(test, { linux: { sysctls } }));
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    expect(await output(test, id, 'cat /proc/sys/net/ipv4/ip_local_reserved_ports')).toBe('');
  });

  it('sets sysctls', async () => {
    const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '79', 'kernel.shm_rmid_forced': '1' };
    const pod = await runPod(test, podConfig(test, { linux: { sysctls } }));
    const id = await startedContainer(test, pod, containerConfig('main', FOREVER));
    expect(
      await output(
        test,
        id,
        'cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced',
      ),
    ).toBe('79\n1');
  });

  // On cgroup v2 the Engine uses its systemd driver, which accepts only slices as parents.
  it.each([...(CGROUP_VERSION === 1 ? ['/pod1'] : []), '.slice', '.slice/'])(
    'puts sandbox and containers below a cgroup_parent that ends in %s',
    async (end) => {
      const name = `dockbridge-test-${process.pid}`;
      const parent = `/${name}${end}`;
      const { of } = await podGroup(name);
      const pod = await runPod(test, podConfig(test, { linux: { cgroup_parent: parent } }));
      const container = await startedContainer(test, pod, containerConfig('main', FOREVER));
      try {
        for (const id of [pod, container]) {
          const cgroups = await readFile(`/proc/${(await inspect(id)).State.Pid}/cgroup`, 'utf8');
          const path = CGROUP_VERSION === 1 ? posix.join(parent, id) : of(id);
          expect(cgroups).toContain(`:${path}\n`);
        }
      } finally {
        await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
        await removeCgroups(parent.split('/')[1]!);
      }
    },
  );

  it("clamps oom_score_adj to the kernel's limit, and keeps allowed values", async () => {
    const { oomFloor: floor } = await readNodeRights();
    const score = async (id: string): Promise<number> =>
      Number(await readFile(`/proc/${(await inspect(id)).State.Pid}/oom_score_adj`, 'utf8'));
    const pod = await runPod(test);
    expect(await score(pod)).toBe(Math.max(-998, floor));
    const started = (name: string, oom_score_adj: number): Promise<string> =>
      startedContainer(
        test,
        pod,
        containerConfig(name, FOREVER, { linux: { resources: { oom_score_adj } } }),
      );
    expect(await score(await started('critical', -997))).toBe(Math.max(-997, floor));
    expect(await score(await started('best-effort', 1000))).toBe(1000);
  });

  it("reports the requested runtime for the pod, and uses it for the pod's containers", async () => {
    const { pod_sandbox_id: pod } = await test.client.call('RunPodSandbox', {
      config: podConfig(test),
      runtime_handler: 'runc',
    });
    expect((await sandboxStatus(test, pod)).runtime_handler).toBe('runc');
    const container = await startedContainer(test, pod, containerConfig('main', FOREVER));
    expect((await inspect(container)).HostConfig.Runtime).toBe('runc');
  });

  describe('with namespace options', () => {
    type Kind = 'pid' | 'ipc' | 'net';
    const own = (kind: Kind): Promise<string> => readlink(`/proc/self/ns/${kind}`);
    const namespace = (id: string, kind: Kind): Promise<string> =>
      output(test, id, `readlink /proc/self/ns/${kind}`);
    const containerWith = (
      pod: string,
      name: string,
      options: cri.INamespaceOption | undefined,
    ): Promise<string> =>
      startedContainer(
        test,
        pod,
        containerConfig(name, FOREVER, {
          linux: options === undefined ? null : { security_context: { namespace_options: options } },
        }),
      );

    it('makes containers share the namespaces of the pod in POD mode', async () => {
      const options = { network: NamespaceMode.POD, pid: NamespaceMode.POD, ipc: NamespaceMode.POD };
      const pod = await runPod(test, withNamespaces(options));
      const [one, two] = await Promise.all([
        containerWith(pod, 'one', options),
        containerWith(pod, 'two', undefined),
      ]);
      for (const kind of ['pid', 'ipc', 'net'] as const) {
        expect(await namespace(two, kind)).toBe(await namespace(one, kind));
        expect(await namespace(one, kind)).not.toBe(await own(kind));
      }
      expect(await output(test, one, 'cat /proc/1/comm')).toBe('pause');
      expect((await sandboxStatus(test, pod)).linux?.namespaces?.options).toMatchObject(options);
    });

    it('isolates the processes of a container with pid=CONTAINER, except from a container that names it as its TARGET', async () => {
      const options = { pid: NamespaceMode.CONTAINER };
      const pod = await runPod(test, withNamespaces(options));
      const [one, two] = await Promise.all([
        containerWith(pod, 'one', options),
        containerWith(pod, 'two', options),
      ]);
      expect(await namespace(one, 'pid')).not.toBe(await namespace(two, 'pid'));
      expect(await namespace(one, 'net')).toBe(await namespace(two, 'net'));
      expect(await output(test, one, 'cat /proc/1/comm')).toBe('sleep');
      const debug = await containerWith(pod, 'debug', { pid: NamespaceMode.TARGET, target_id: two });
      expect(await namespace(debug, 'pid')).toBe(await namespace(two, 'pid'));
      expect((await sandboxStatus(test, pod)).linux?.namespaces?.options?.pid).toBe(NamespaceMode.CONTAINER);
    });

    it('makes a pod in which no container can have a TARGET that is absent, stopped or in another pod', async () => {
      const [pod, other] = await Promise.all([runPod(test), runPod(test)]);
      const stranger = await containerWith(other, 'stranger', undefined);
      const stopped = await containerWith(pod, 'stopped', undefined);
      await test.client.call('StopContainer', { container_id: stopped, timeout: 0 });
      const target = (target_id: string): Promise<string> =>
        containerWith(pod, 'debug', { pid: NamespaceMode.TARGET, target_id });
      await expectFailure(target(''), 'INVALID_ARGUMENT', /target_id/);
      await expectFailure(target('f'.repeat(64)), 'NOT_FOUND');
      await expectFailure(target(stopped), 'FAILED_PRECONDITION', /target_id.* is not running in this pod/);
      await expectFailure(target(stranger), 'FAILED_PRECONDITION', /target_id.* is not running in this pod/);
    });

    it("uses the node's namespaces in NODE mode", async () => {
      const options = { network: NamespaceMode.NODE, pid: NamespaceMode.NODE, ipc: NamespaceMode.NODE };
      const pod = await runPod(test, {
        ...withNamespaces(options),
        hostname: '',
        port_mappings: [{ container_port: 80, host_port: 8080 }],
      });
      const id = await containerWith(pod, 'main', options);
      for (const kind of ['pid', 'ipc', 'net'] as const)
        expect(await namespace(id, kind)).toBe(await own(kind));
      const status = await sandboxStatus(test, pod);
      expect(status.network).toBeNull();
      expect(status.linux?.namespaces?.options).toMatchObject(options);
    });

    it('gives a container without namespace options the host network of its pod', async () => {
      const pod = await runPod(test, withNamespaces({ network: NamespaceMode.NODE }));
      expect(await namespace(await containerWith(pod, 'main', undefined), 'net')).toBe(await own('net'));
    });
  });
});
