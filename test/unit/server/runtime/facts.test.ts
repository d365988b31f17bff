import { CgroupDriver, NamespaceMode } from '../../../../src/proto/enums';
import { containerStatus } from '../../../../src/server/runtime/container-status';
import { podSandboxStatus } from '../../../../src/server/runtime/pod-sandbox-status';
import { runtimeConfig } from '../../../../src/server/runtime/runtime-config';
import { status } from '../../../../src/server/runtime/status';
import { updateRuntimeConfig } from '../../../../src/server/runtime/update-runtime-config';
import { version } from '../../../../src/server/runtime/version';
import type { Services } from '../../../../src/server/services';
import type { EngineFacts } from '../../../../src/store/records';
import { WritableStore } from '../../../../src/store/store';
import { toCriContainerStatus } from '../../../../src/translate/container/container-status';
import { toCriSandboxStatus } from '../../../../src/translate/sandbox/sandbox-status';
import { rejectionOf, thrownBy } from '../../support/errors';
import { engineId, imageRecord, runningContainer, sandboxRecord } from '../../support/records';
import { decoded } from '../../support/wire';

const { signal } = new AbortController();
const context = { signal };
const image = imageRecord();
const pod = sandboxRecord();
const running = runningContainer({ imageId: image.id, spoolPath: '/spool', tty: true });

const FACTS = {
  engineVersion: '28.5.2',
  apiVersion: '1.51',
  cgroupDriver: 'systemd',
  runtimes: ['runc', 'crun'],
  securityOptions: [],
  kernelVersion: '6.1.0',
  defaultRuntime: 'runc',
  recursiveReadOnlyRuntimes: ['runc'],
} as unknown as EngineFacts;

let store: WritableStore;
let calls: string[];
let services: Services;
beforeEach(() => {
  calls = [];
  store = new WritableStore();
  store.engine = FACTS;
  store.images.put(image);
  store.sandboxes.put(pod);
  store.containers.put(running);
  const wait = (what: string) => (id: string, given: AbortSignal) => {
    calls.push(`${what} ${id === '' ? 'none' : id.slice(0, 2)} ${given === signal}`);
    return Promise.resolve();
  };
  services = {
    store,
    link: {
      state: { ready: true },
      trouble: undefined,
      whenContainerKnown: wait('container'),
      whenPodKnown: wait('pod'),
    },
    logs: { trouble: undefined },
    network: {
      condition: () => ({ ready: true, reason: 'r', message: 'm' }),
      troubleOf: (sandbox: { id: string }, given: AbortSignal) =>
        Promise.resolve(`${sandbox.id.slice(0, 2)} ${given === signal}`),
      networkMode: 'bridge',
      setPodCidr: (cidr: string) => calls.push(`cidr ${cidr}`),
    },
    settings: { spool: { maxSize: '1m' }, oomFloor: -7, dockbridgeVersion: '9.8.7' },
    sandboxImage: { configured: 'pause:1' },
  } as unknown as Services;
});

/** Returns the services with some members of one part replaced. */
const withPart = (name: keyof Services, part: object): Services => ({
  ...services,
  [name]: { ...(services[name] as object), ...part },
});

describe('Version', () => {
  it('returns the version of the Engine, with the names that kubelet expects', async () => {
    const all = { version: '0.1.0', runtime_name: 'docker', runtime_api_version: 'v1' };
    expect(await version(services)).toEqual({ ...all, runtime_version: '28.5.2' });
    store.engineVersion = '29.0.0';
    expect(await version(services)).toEqual({ ...all, runtime_version: '29.0.0' });
  });

  it('fails with UNAVAILABLE until the Engine has answered for the first time', () => {
    store.engine = undefined;
    expect(thrownBy(() => version(services))).toBe('UNAVAILABLE Docker Engine has not answered yet');
  });
});

describe('RuntimeConfig', () => {
  it.each([
    ['systemd', { linux: { cgroup_driver: CgroupDriver.SYSTEMD } }],
    ['cgroupfs', { linux: { cgroup_driver: CgroupDriver.CGROUPFS } }],
    ['none', {}],
  ])('returns for the cgroup driver %s: %j', async (cgroupDriver, told) => {
    store.engine = { ...FACTS, cgroupDriver };
    expect(await runtimeConfig(services)).toEqual(told);
  });
});

describe('Status', () => {
  const ask = (of = services, verbose = false) => status(of, decoded('StatusRequest', { verbose }));
  const runtimeOf = async (of: Services): Promise<unknown> => (await ask(of)).status?.conditions?.[0];

  it('reports both conditions and the features of each handler, but details only on request', async () => {
    const { runtime_handlers, ...rest } = await ask();
    expect(rest).toEqual({
      status: {
        conditions: [
          { type: 'RuntimeReady', status: true, reason: '', message: '' },
          { type: 'NetworkReady', status: true, reason: 'r', message: 'm' },
        ],
      },
      features: {
        supplemental_groups_policy: true,
        user_namespaces_host_network: false,
        mount_options: false,
      },
      info: {},
    });
    expect(runtime_handlers).toEqual(
      ['', 'runc', 'crun'].map((name) => ({
        name,
        features: {
          recursive_read_only_mounts: name !== 'crun',
          user_namespaces: false,
        },
      })),
    );
    store.engine = undefined;
    expect((await ask()).runtime_handlers?.map(({ name }) => name)).toEqual(['']);
  });

  it('reports why the runtime is not ready', async () => {
    const about = { type: 'RuntimeReady', status: false };
    expect(await runtimeOf(withPart('link', { state: { ready: false, reason: 'refused' } }))).toEqual({
      ...{ ...about, reason: 'DockerDaemonNotReady', message: 'refused' },
    });
    const state = { ready: false, reason: 'too old', word: 'DockerTooOld' };
    expect(await runtimeOf(withPart('link', { state }))).toEqual({
      ...{ ...about, reason: 'DockerTooOld', message: 'too old' },
    });
    const trouble = { isStuck: true, reason: 'DockerNetworksHang', message: 'hung' };
    expect(await runtimeOf(withPart('link', { trouble }))).toEqual({
      ...{ ...about, reason: 'DockerNetworksHang', message: 'hung' },
    });
  });

  it('reports a problem even while the runtime is ready, and one of the Engine rather than one of the logs', async () => {
    const about = { type: 'RuntimeReady', status: true };
    const logs = withPart('logs', { trouble: { reason: 'LogsFail', message: 'disk full' } });
    expect(await runtimeOf(logs)).toEqual({ ...about, reason: 'LogsFail', message: 'disk full' });
    const trouble = { isStuck: false, reason: 'DockerDaemonSlow', message: 'late' };
    expect(await runtimeOf({ ...logs, link: { ...logs.link, trouble } })).toEqual({
      ...{ ...about, reason: 'DockerDaemonSlow', message: 'late' },
    });
  });

  it('reports the reason why the network is not ready', async () => {
    const condition = () => ({ ready: false, reason: 'NoCni', message: 'no config' });
    const { status: told } = await ask(withPart('network', { condition }));
    expect(told?.conditions?.[1]).toEqual({
      ...{ type: 'NetworkReady', status: false, reason: 'NoCni', message: 'no config' },
    });
  });

  it('returns details as JSON on request', async () => {
    store.podCidr = '10.0.0.0/24';
    const details = async () =>
      Object.fromEntries(
        Object.entries((await ask(services, true)).info ?? {}).map(([key, text]) => [
          key,
          JSON.parse(text) as unknown,
        ]),
      );
    expect(await details()).toEqual({
      config: {
        ...{ sandboxImage: 'pause:1', containerLogSpool: { maxSize: '1m' }, podNetworkMode: 'bridge' },
        ...{ podCidr: '10.0.0.0/24', oomScoreAdjFloor: -7 },
      },
      engine: FACTS,
      dockbridge: { version: '9.8.7', sandboxes: 1, containers: 1, images: 1 },
    });
    store.engine = undefined;
    expect(await details()).toMatchObject({ engine: null });
  });
});

describe('ContainerStatus', () => {
  const ask = (verbose: boolean, container_id = running.id) =>
    containerStatus(services, decoded('ContainerStatusRequest', { container_id, verbose }), context);

  it('waits until the container is known, and returns its status with its image', async () => {
    expect(await ask(false)).toEqual({ status: toCriContainerStatus(running, image), info: {} });
    expect(calls).toEqual(['container c1 true']);
    expect(await rejectionOf(ask(false, 'ff'))).toBe('NOT_FOUND container "ff" does not exist');
  });

  it('returns details as JSON on request', async () => {
    const { info } = await ask(true);
    expect(Object.keys(info ?? {})).toEqual(['info']);
    expect(JSON.parse(info?.info ?? '')).toEqual({
      ...{ sandboxID: pod.id, pid: 200, engineState: 'running', engineName: running.engineName },
      ...{ spoolPath: '/spool', tty: true, stdin: false },
    });
  });
});

describe('PodSandboxStatus', () => {
  const ask = (verbose: boolean, pod_sandbox_id = pod.id) =>
    podSandboxStatus(services, decoded('PodSandboxStatusRequest', { pod_sandbox_id, verbose }), context);

  it('waits until the pod is known, and returns its status with those of its containers', async () => {
    store.containers.put(
      runningContainer({ id: engineId('c2'), engineName: 'c2', sandboxId: engineId('a2') }),
    );
    expect(await ask(false)).toEqual({
      status: toCriSandboxStatus(pod),
      containers_statuses: [toCriContainerStatus(running, image)],
      info: {},
    });
    expect(calls).toEqual(['pod a1 true']);
    expect(await rejectionOf(ask(false, 'ff'))).toBe('NOT_FOUND pod sandbox "ff" does not exist');
    expect(await rejectionOf(ask(true, 'ff'))).toBe('NOT_FOUND pod sandbox "ff" does not exist');
  });

  it('returns details as JSON on request, with network trouble only while the pod is running', async () => {
    const detailsOf = async (): Promise<unknown> => {
      const { info } = await ask(true);
      expect(Object.keys(info ?? {})).toEqual(['info']);
      return JSON.parse(info?.info ?? '');
    };
    const about = { engineName: pod.engineName, cgroupParent: pod.cgroupParent, hostname: 'web' };
    const common = { ...about, logDirectory: pod.logDirectory };
    expect(await detailsOf()).toEqual({
      ...{ ...common, pid: 100, engineState: 'running', networkTrouble: 'a1 true' },
    });
    store.sandboxes.put({ ...pod, state: 'exited', pid: 0 });
    expect(await detailsOf()).toEqual({ ...common, pid: 0, engineState: 'exited', networkTrouble: '' });
  });
});

describe('UpdateRuntimeConfig', () => {
  const ask = (pod_cidr: string) =>
    updateRuntimeConfig(
      services,
      decoded('UpdateRuntimeConfigRequest', { runtime_config: { network_config: { pod_cidr } } }),
    );

  it.each(['10.244.0.0/24', '10.244.0.0/0', '10.0.0.0/32', 'fd00::/128', '10.1.0.0/16, fd00:1::/64'])(
    'accepts %s',
    async (cidr) => {
      expect(await ask(cidr)).toEqual({});
      expect([store.podCidr, calls]).toEqual([cidr, [`cidr ${cidr}`]]);
    },
  );

  it.each([
    ...['10.244.0.0', '10.244.0.0/33', 'fd00::/129', '10.244.0.0/', '10.244.0.0/8/8', 'x/8', '/8', ','],
    ...['10.244.0.0/x8', '10.244.0.0/8x', '10.244.0.0/-1', '10.244.0.0/0008', '10.1.0.0/16,nonsense'],
  ])('refuses %j and keeps the present CIDR', (cidr) => {
    store.podCidr = '10.9.0.0/16';
    expect(thrownBy(() => ask(cidr))).toMatch(/^INVALID_ARGUMENT runtime_config\.network_config\.pod_cidr: /);
    expect([store.podCidr, calls]).toEqual(['10.9.0.0/16', []]);
  });

  it('changes nothing without a CIDR', async () => {
    store.podCidr = '10.9.0.0/16';
    for (const request of [{}, { runtime_config: {} }, { runtime_config: { network_config: {} } }])
      expect(await updateRuntimeConfig(services, decoded('UpdateRuntimeConfigRequest', request))).toEqual({});
    expect([store.podCidr, calls]).toEqual(['10.9.0.0/16', []]);
  });
});

it("a pod on the node's network has no addresses of its own", async () => {
  const network = { ...pod.namespaces, network: NamespaceMode.NODE };
  store.sandboxes.put({ ...pod, namespaces: network });
  const request = decoded('PodSandboxStatusRequest', { pod_sandbox_id: pod.id });
  expect((await podSandboxStatus(services, request, context)).status?.network).toBeNull();
});
