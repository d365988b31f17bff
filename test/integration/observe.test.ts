import { readFile, writeFile } from 'node:fs/promises';
import { PodSandboxState, Protocol } from '../../src/proto/enums';
import { IMAGE_ROUTES, RUNTIME_ROUTES } from '../../src/server/handlers';
import type { EngineContainerInspect } from '../../src/engine/types';
import { expectFailure } from './support/grpc';
import { CniNode } from './support/cni-node';
import { TestDaemon } from './support/daemon';
import { engineCall, engineGet, engineLeftovers, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { EngineProxy } from './support/engine-proxy';
import {
  containerConfig,
  FOREVER,
  podConfig,
  runPod,
  sandboxStatus,
  startedContainer,
  untilExited,
  untilStore,
} from './support/pods';
import { filesBelow, snapshotOf } from './support/snapshot';

const CHURN_MS = 10_000;
/** The time limit of the Engine's first answer on a busy machine. */
const PATIENT = { writePatience: 40_000 };
const DNS = { servers: ['192.0.2.53'], searches: [], options: [] };

let node: CniNode;
let incumbent: TestDaemon;
let engine: EngineProxy;

beforeEach(async () => {
  node = await CniNode.create();
  await node.configure(node.network(['10.93.0.0/24']));
  incumbent = await TestDaemon.start({ given: node.options, linkTimes: PATIENT });
  engine = await EngineProxy.start(sharedDockerHost());
});
afterEach(async () => {
  await incumbent.stop();
  await engine.stop();
  try {
    expect(await node.traces()).toEqual([]);
    expect(await engineLeftovers(sharedDockerHost())).toEqual([]);
  } finally {
    await node.destroy();
  }
});

/** Starts an observer with the incumbent's own directories, which it must not claim. */
async function observer(): Promise<TestDaemon> {
  const given = { ...node.options, 'state-dir': `${incumbent.directory}/state`, observe: 'true' };
  const test = await TestDaemon.start({ dockerHost: engine.dockerHost, given, linkTimes: PATIENT });
  await test.synced();
  return test;
}

/** Returns the HTTP methods of all calls that arrived at the Engine. */
const methodsSeen = (): Set<string> => new Set(engine.calls.map(({ method }) => method));

async function answersOf({ client }: TestDaemon): Promise<object> {
  const { items } = await client.call('ListPodSandbox', {});
  const containers = byId((await client.call('ListContainers', {})).containers);
  const sandboxes = items.map(async ({ id }) => {
    const answer = await client.call('PodSandboxStatus', { pod_sandbox_id: id });
    return { ...answer, containers_statuses: byId(answer.containers_statuses) };
  });
  const statuses = containers.map(({ id }) => client.call('ContainerStatus', { container_id: id }));
  return {
    ...{ items: byId(items), containers },
    statuses: await Promise.all<object>([...sandboxes, ...statuses]),
  };
}

/** CRI's lists have no order. */
function byId<T extends { id: string }>(all: readonly T[]): T[] {
  return [...all].sort((a, b) => a.id.localeCompare(b.id));
}

it('an observer reports a node as it is, and changes nothing', async () => {
  const pod = await runPod(incumbent, podConfig(incumbent, { dns_config: DNS }));
  await startedContainer(incumbent, pod, containerConfig('main', `echo started; ${FOREVER}`));
  const failed = await startedContainer(incumbent, pod, containerConfig('failed', 'exit 3'));
  await untilExited(incumbent, failed);
  const { ResolvConfPath: resolvConf = '' } = (await engineGet(
    sharedDockerHost(),
    `/containers/${pod}/json`,
  )) as EngineContainerInspect;
  // A serving daemon would change these at its start: a resolv.conf to correct, and a probe to remove.
  const probe = '/containers/create?name=dockbridge-probe-0123456789ab';
  const labels = { 'io.dockbridge.probe': 'of-a-killed-daemon', 'io.kubernetes.docker.type': 'probe' };
  let observed: object = {};
  await incumbent.restart(async () => {
    await writeFile(resolvConf, 'nameserver 198.51.100.53\n');
    await engineCall(sharedDockerHost(), 'POST', probe, { json: { Image: TEST_IMAGE, Labels: labels } });
    const directories = [incumbent.directory, node.directory, resolvConf];
    const before = await snapshotOf(node, sharedDockerHost(), directories);
    for (let round = 0; round < 2; round++) {
      const test = await observer();
      // Each of these events makes a daemon inspect the pod again.
      for (const verb of ['pause', 'unpause']) {
        await engineCall(sharedDockerHost(), 'POST', `/containers/${pod}/${verb}`);
        await untilStore(
          test,
          () => test.daemon.store.sandboxes.get(pod)?.state === (verb === 'pause' ? 'paused' : 'running'),
        );
      }
      observed = await answersOf(test);
      const { stats } = await test.client.call('ListPodSandboxStats', {});
      expect(stats).toHaveLength(1);
      expect((await filesBelow(test.directory)).map((line) => line.split(' ')[0])).toEqual([
        test.directory,
        `${test.directory}/cri.sock`,
      ]);
      await test.leave();
    }
    expect(await snapshotOf(node, sharedDockerHost(), directories)).toEqual(before);
    expect(await readFile(resolvConf, 'utf8')).toBe('nameserver 198.51.100.53\n');
    expect(methodsSeen()).toEqual(new Set(['GET']));
  });
  expect(observed).toEqual(await answersOf(incumbent));
});

it('an observer refuses every call that changes something, with the reason', async () => {
  const pod = await runPod(incumbent);
  const container = await startedContainer(incumbent, pod, containerConfig('main', FOREVER));
  const test = await observer();
  try {
    const request = {
      pod_sandbox_id: pod,
      container_id: container,
      image: { image: TEST_IMAGE },
      cmd: ['true'],
    };
    const acts = Object.entries({ ...RUNTIME_ROUTES, ...IMAGE_ROUTES }).filter(([, { acts }]) => acts);
    const names = acts.map(([name]) => name as 'StopPodSandbox');
    expect(names).toEqual(
      expect.arrayContaining([
        'ReopenContainerLog',
        'PortForward',
        'UpdateRuntimeConfig',
        'Exec',
        'PullImage',
      ]),
    );
    for (const name of names)
      await expectFailure(test.client.call(name, request), 'FAILED_PRECONDITION', /--observe/);
    expect(methodsSeen()).toEqual(new Set(['GET']));
    expect((await sandboxStatus(incumbent, pod)).state).toBe(PodSandboxState.SANDBOX_READY);
  } finally {
    await test.leave();
  }
});

it('an observer changes nothing next to a runtime whose pods come and go, and sees each pod with its address', async () => {
  const test = await observer();
  const seen: string[] = [];
  const live = async (index: number): Promise<void> => {
    const ports = [{ container_port: 80, host_port: 18_000 + index, protocol: Protocol.TCP, host_ip: '' }];
    const pod = await runPod(incumbent, podConfig(incumbent, { port_mappings: ports, dns_config: DNS }));
    await startedContainer(incumbent, pod, containerConfig('main', `echo ${index}; ${FOREVER}`));
    await untilStore(test, () => (test.daemon.store.sandboxes.get(pod)?.ips.length ?? 0) > 0);
    const [mine, its] = [await sandboxStatus(test, pod), await sandboxStatus(incumbent, pod)];
    expect(mine.network?.ip).toBe(its.network?.ip);
    seen.push(pod);
    await incumbent.client.call('RemovePodSandbox', { pod_sandbox_id: pod });
  };
  const ask = async (): Promise<void> => {
    for (const method of [
      'ListPodSandbox',
      'ListContainers',
      'ListContainerStats',
      'ListPodSandboxStats',
    ] as const)
      await test.client.call(method, {});
  };
  try {
    // The first pod adds what the plugins set up once for the node.
    await live(0);
    const directories = [`${incumbent.directory}/state`, node.runDir, node.cacheDir];
    const before = (await snapshotOf(node, sharedDockerHost(), directories)).map(withoutTime);
    const end = Date.now() + CHURN_MS;
    for (let index = 1; Date.now() < end; index++) await Promise.all([live(index), ask()]);
    expect(seen.length).toBeGreaterThan(1);
    expect((await snapshotOf(node, sharedDockerHost(), directories)).map(withoutTime)).toEqual(before);
    expect(methodsSeen()).toEqual(new Set(['GET']));
  } finally {
    await test.leave();
  }
});

/** Keeps only the path and mode of a file, because the incumbent writes its files. The same files must remain. */
function withoutTime(line: string): string {
  return /^\/\S+ \d+ \d+ \d+ \d+ /.test(line) ? line.split(' ').slice(0, 2).join(' ') : line;
}

it('an observer does not use a socket where kubelet looks for its runtime', async () => {
  for (const path of ['fd://', 'unix:///var/run/cri-dockerd.sock', 'unix:///run/dockershim.sock']) {
    const given = { ...node.options, observe: 'true', 'container-runtime-endpoint': path };
    await expect(TestDaemon.start({ given })).rejects.toThrow(/--container-runtime-endpoint: .*--observe/);
  }
});
