import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  ContainerState,
  MountPropagation,
  NamespaceMode,
  PodSandboxState,
  Protocol,
} from '../../src/proto/enums';
import { CniNode } from './support/cni-node';
import { TestDaemon } from './support/daemon';
import { engineCall, engineLeftovers, startPrivateEngine, type PrivateEngine } from './support/engine';
import { untilEngineIsMissed, untilSynced } from './support/engine-link';
import { Incumbent, type IncumbentKind, type IncumbentOptions } from './support/incumbent';
import {
  containerConfig,
  containerStatus,
  createContainer,
  FOREVER,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
  untilExited,
  untilStore,
} from './support/pods';

const run = promisify(execFile);
const { PROPAGATION_PRIVATE, PROPAGATION_HOST_TO_CONTAINER } = MountPropagation;
const KINDS: IncumbentKind[] = ['dockershim', 'cri-dockerd-0.4', 'cri-dockerd-master'];
const HOST_NETWORK = { linux: { security_context: { namespace_options: { network: NamespaceMode.NODE } } } };
const PORTS = [{ protocol: Protocol.TCP, container_port: 80, host_port: 8080, host_ip: '' }];

let engine: PrivateEngine;
let node: CniNode;
let test: TestDaemon;

beforeAll(async () => {
  engine = await startPrivateEngine('take-over', { dockerd: ['--live-restore'] });
});
afterAll(() => engine.destroy());

beforeEach(async () => {
  node = await CniNode.create();
  await node.configure(node.network(['10.90.0.0/24']));
  test = await TestDaemon.start({ dockerHost: engine.dockerHost, given: { ...node.options } });
  await untilSynced(test);
});
afterEach(async () => {
  await test.stop();
  try {
    expect(await node.traces()).toEqual([]);
    expect(await engineLeftovers(engine.dockerHost)).toEqual([]);
  } finally {
    await node.destroy();
  }
});

/** Lets another runtime run `make` while no dockbridge runs. */
async function takeOver<T>(
  options: Omit<IncumbentOptions, 'root' | 'dockerHost'>,
  make: (incumbent: Incumbent) => Promise<T>,
): Promise<T> {
  const root = join(test.directory, 'incumbent');
  const made: T[] = [];
  await test.restart(async () => {
    made.push(await make(await Incumbent.start({ ...options, root, dockerHost: engine.dockerHost })));
  });
  await rm(root, { recursive: true });
  await untilSynced(test);
  return made[0]!;
}

/** Returns all that kubelet sees of the pods. */
async function answers(): Promise<object> {
  const { items } = await test.client.call('ListPodSandbox', {});
  const { containers } = await test.client.call('ListContainers', {});
  const sorted = <T extends { id: string }>(all: T[]): T[] => all.sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    items: sorted(items),
    containers: sorted(containers),
    sandboxes: await Promise.all(items.map(({ id }) => sandboxStatus(test, id))),
    statuses: await Promise.all(
      containers.map(({ id }) => test.client.call('ContainerStatus', { container_id: id })),
    ),
  };
}

/**
 * Expects the answers to stay the same after each cause of another inspect: a restart of dockbridge, an
 * event, a restart of the Engine, and both restarts.
 */
async function expectSteady(pods: readonly string[]): Promise<void> {
  const before = await answers();
  await test.restart();
  await untilSynced(test);
  expect(await answers()).toEqual(before);
  for (const pod of pods) await update(pod);
  expect(await answers()).toEqual(before);
  await engine.stop();
  await untilEngineIsMissed(test);
  await engine.start();
  await untilSynced(test);
  expect(await answers()).toEqual(before);
  await test.restart(async () => {
    await engine.stop();
    await engine.start();
  });
  await untilSynced(test);
  expect(await answers()).toEqual(before);
}

/**
 * Resolves once dockbridge has handled earlier events. Events of one container are handled in order, and a
 * new name is visible.
 */
async function update(id: string): Promise<void> {
  const { sandboxes } = test.daemon.store;
  const name = sandboxes.get(id)!.engineName.split('_').slice(0, 6).join('_');
  for (const suffix of ['_0000000a', '_0000000b']) {
    await engineCall(engine.dockerHost, 'POST', `/containers/${id}/update`, { json: { CpuShares: 3 } });
    await engineCall(engine.dockerHost, 'POST', `/containers/${id}/rename?name=${name}${suffix}`);
    await untilStore(test, () => sandboxes.get(id)?.engineName === name + suffix);
  }
}

const ipOf = async (pod: string): Promise<string> => (await sandboxStatus(test, pod)).network?.ip ?? '';

describe.each(KINDS)('a pod that %s made', (kind) => {
  it('keeps its address and everything else on CNI, and is freed with its host port', async () => {
    const config = podConfig(test, {
      metadata: { name: 'web', namespace: 'shop', uid: 'u-1', attempt: 4 },
      labels: { app: 'web' },
      annotations: { 'kubernetes.io/config.source': 'api' },
      port_mappings: PORTS,
    });
    const pod = await takeOver({ kind, node }, (incumbent) => incumbent.runPod(config));
    const status = await sandboxStatus(test, pod);
    expect(status).toMatchObject({
      state: PodSandboxState.SANDBOX_READY,
      metadata: config.metadata,
      labels: config.labels,
      annotations: config.annotations,
      network: { ip: expect.stringMatching(/^10\.90\.0\.\d+$/) as string, additional_ips: [] },
    });
    await expectSteady([pod]);
    expect((await node.traces()).join('\n')).toContain('--dport 8080');
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.traces()).toEqual([]);
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
  });

  it("keeps the Engine's address if it has one, and has none on the host's network", async () => {
    const pods = await takeOver({ kind }, async (incumbent) => [
      await incumbent.runPod(podConfig(test, { port_mappings: [{ ...PORTS[0], host_ip: '127.0.0.1' }] })),
      await incumbent.runPod(podConfig(test, { ...HOST_NETWORK, port_mappings: PORTS })),
    ]);
    const [bridged, host] = pods as [string, string];
    expect(await ipOf(bridged)).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(await ipOf(host)).toBe('');
    const { items } = await test.client.call('ListPodSandbox', {
      filter: { state: { state: PodSandboxState.SANDBOX_READY } },
    });
    expect(items.map(({ id }) => id).sort()).toEqual([...pods].sort());
    await expectSteady(pods);
  });

  it('is visible, not ready, and can be removed if it was never started', async () => {
    const config = podConfig(test, { port_mappings: PORTS });
    const pod = await takeOver({ kind, node }, (incumbent) => incumbent.createPod(config));
    expect(await sandboxStatus(test, pod)).toMatchObject({
      state: PodSandboxState.SANDBOX_NOTREADY,
      metadata: config.metadata,
      network: { ip: '' },
    });
    await expectSteady([pod]);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
    expect((await test.client.call('ListPodSandbox', {})).items).toEqual([]);
  });
});

describe.each(KINDS)('a container that %s made', (kind) => {
  const identity = {
    metadata: { name: 'app', attempt: 2 },
    labels: { 'io.kubernetes.container.name': 'app' },
    annotations: {
      'io.kubernetes.container.hash': 'abc123',
      'io.kubernetes.container.restartCount': '2',
      'io.kubernetes.container.terminationMessagePath': '/dev/termination-log',
    },
  };

  let source: string;

  // A machine without systemd has no shared mounts, and the Engine refuses propagation from private mounts.
  beforeEach(async () => {
    source = await mkdtemp(join(test.directory, 'volumes-'));
    await run('mount', ['--bind', source, source]);
    await run('mount', ['--make-rshared', source]);
  });
  afterEach(() => run('umount', ['-l', source]));

  it('keeps its identity, state, times and mounts, whether it is running, ended or never started', async () => {
    await writeFile(join(source, 'message'), '');
    const mounts = [
      { container_path: '/dev/termination-log', host_path: join(source, 'message') },
      { container_path: '/etc/config', host_path: source, readonly: true },
      { container_path: '/late', host_path: source, propagation: PROPAGATION_HOST_TO_CONTAINER },
    ];
    const made = await takeOver({ kind }, async (incumbent) => {
      const pod = await incumbent.runPod(
        podConfig(test, { metadata: { name: 'web', namespace: 'shop', uid: 'u' } }),
      );
      const config = containerConfig('app', FOREVER, { ...identity, mounts });
      const done = containerConfig('done', 'exit 3', { metadata: { name: 'done', attempt: 0 } });
      const name = 'k8s_waits_web_shop_u_7_0a1b2c3d';
      const waits = containerConfig('waits', FOREVER, { metadata: { name: 'waits', attempt: 7 } });
      const ended = await incumbent.runContainer(pod, done);
      await engineCall(engine.dockerHost, 'POST', `/containers/${ended}/wait`);
      return {
        ended,
        running: await incumbent.runContainer(pod, config, { Tmpfs: { '/scratch': 'size=1m' } }),
        created: await incumbent.createContainer(pod, waits, {}, name),
      };
    });
    const status = await containerStatus(test, made.running);
    expect(status).toMatchObject({ ...identity, state: ContainerState.CONTAINER_RUNNING });
    const plain = { readonly: false, propagation: PROPAGATION_PRIVATE };
    expect(status.mounts).toEqual(
      [...mounts, { container_path: '/scratch', host_path: '' }].map(
        (mount) => expect.objectContaining({ ...plain, ...mount }) as object,
      ),
    );
    expect(await containerStatus(test, made.ended)).toMatchObject({
      ...{ state: ContainerState.CONTAINER_EXITED, exit_code: 3, reason: 'Error' },
    });
    expect(await containerStatus(test, made.created)).toMatchObject({
      ...{ state: ContainerState.CONTAINER_CREATED, metadata: { name: 'waits', attempt: 7 } },
    });
    await expectSteady([]);
  });
});

describe('the times of a container', () => {
  it('stay those that kubelet got first, whoever ends the container', async () => {
    const pod = await runPod(test, podConfig(test, HOST_NETWORK));
    const config = containerConfig('ours', FOREVER);
    const ours = await createContainer(test, pod, config);
    const { created_at } = await containerStatus(test, ours);
    await test.client.call('StartContainer', { container_id: ours });
    const other = await startedContainer(test, pod, containerConfig('other', 'sleep 1; exit 4'));
    await untilExited(test, other);
    await test.client.call('StopContainer', { container_id: ours, timeout: 0 });
    expect((await containerStatus(test, ours)).created_at).toEqual(created_at);
    await expectSteady([]);
  });
});

describe('a CNI pod of another runtime', () => {
  const kind = 'cri-dockerd-0.4';
  const damages: [string, (file: string, result: () => Promise<string>) => Promise<void>][] = [
    ['was lost', (file) => rm(file)],
    ['is damaged', (file) => writeFile(file, '{"kind":"cniCacheV1","contai')],
    ['is the bare result of an old library', async (file, result) => writeFile(file, await result())],
  ];

  it.each(damages)('is known, and freed with its host port, when its cache entry %s', async (_, damage) => {
    const pod = await takeOver({ kind, node }, async (incumbent) => {
      const id = await incumbent.runPod(podConfig(test, { port_mappings: PORTS }));
      const file = join(node.cacheDir, 'results', `test-net-${id}-eth0`);
      const result = (): Promise<string> =>
        node.run('cat', file).then((text) => JSON.stringify((JSON.parse(text) as { result: object }).result));
      await damage(file, result);
      return id;
    });
    expect(await ipOf(pod)).toMatch(/^10\.90\.0\.\d+$/);
    await expectSteady([pod]);
    const second = test.client.call('RunPodSandbox', { config: podConfig(test, { port_mappings: PORTS }) });
    await expect(second).rejects.toMatchObject({
      details: expect.stringContaining('host port 8080/tcp is taken') as string,
    });
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.traces()).toEqual([]);
    await test.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
  });

  it('is freed even if it vanished while no runtime ran', async () => {
    const pod = await takeOver({ kind, node }, (incumbent) =>
      incumbent.runPod(podConfig(test, { port_mappings: PORTS })),
    );
    // dockbridge holds the pod's namespace since it found the pod. Without the namespace, the bridge plugin
    // cannot find its rules.
    expect(await ipOf(pod)).toMatch(/^10\.90\.0\.\d+$/);
    await test.restart(async () => {
      await engineCall(engine.dockerHost, 'DELETE', `/containers/${pod}?force=1`);
    });
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.traces()).toEqual([]);
  });

  it('does not report a second interface when its cache entry was lost', async () => {
    const pod = await takeOver({ kind, node }, async (incumbent) => {
      const id = await incumbent.runPod(podConfig(test));
      const inside = ['nsenter', `--net=/proc/${(await incumbent.inspect(id)).State.Pid}/ns/net`];
      await node.run(inside[0]!, inside[1]!, 'ip', 'link', 'add', 'aaa0', 'type', 'bridge');
      await node.run(inside[0]!, inside[1]!, 'ip', 'address', 'add', '10.7.0.1/24', 'dev', 'aaa0');
      await node.run(inside[0]!, inside[1]!, 'ip', 'link', 'set', 'aaa0', 'up');
      await rm(join(node.cacheDir, 'results', `test-net-${id}-eth0`));
      return id;
    });
    const { network } = await sandboxStatus(test, pod);
    expect(network).toMatchObject({
      ip: expect.stringMatching(/^10\.90\.0\./) as string,
      additional_ips: [],
    });
  });

  it('on kubenet keeps its address and is freed', async () => {
    const pod = await takeOver({ kind, node, network: 'kubenet' }, (incumbent) =>
      incumbent.runPod(podConfig(test)),
    );
    expect(await ipOf(pod)).toMatch(/^10\.95\.0\.\d+$/);
    await expectSteady([pod]);
    await test.client.call('StopPodSandbox', { pod_sandbox_id: pod });
    expect(await node.traces()).toEqual([]);
    const leases = await readdir(join(node.leaseDir, 'kubenet'));
    expect(leases.filter((name) => /^[\d.]+$/.test(name))).toEqual([]);
  });
});
