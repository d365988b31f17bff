import type { PodNetworkFound } from '../../../src/network/cni/observed-cni';
import { assess } from '../../../src/cli/switch-check/assess';
import type { SwitchFacts } from '../../../src/cli/switch-check/gather';
import { exitCodeOf, renderReport } from '../../../src/cli/switch-check/switch-report';
import { resolveSettings } from '../../../src/config/options';
import type { NodeProcess } from '../../../src/node/process/node-processes';
import type { EngineContainerInspect, EngineHostConfig } from '../../../src/engine/types';

const SANDBOX = 'a'.repeat(64);
const CONTAINER = 'b'.repeat(64);
const CACHED: PodNetworkFound = { ready: true, ips: ['10.1.0.7'], source: 'cache', networkName: 'net' };
const INCUMBENT: NodeProcess = { name: 'cri-dockerd', pid: 7, args: ['--network-plugin=cni'] };

function inspect(
  id: string,
  name: string,
  labels: Record<string, string>,
  host: EngineHostConfig,
  status = 'running',
): EngineContainerInspect {
  const State = {
    Status: status,
    Pid: status === 'running' ? 42 : 0,
    ExitCode: 0,
    OOMKilled: false,
    Error: '',
  };
  return {
    Id: id,
    Name: `/${name}`,
    Created: '2026-01-01T00:00:00Z',
    Image: 'sha256:1',
    State: { ...State, StartedAt: '2026-01-01T00:00:01Z', FinishedAt: '0001-01-01T00:00:00Z' },
    Config: { Image: 'busybox', Labels: labels },
    HostConfig: host,
    NetworkSettings: { Networks: { bridge: { IPAddress: '172.17.0.5' } } },
  };
}

const sandbox = (host: EngineHostConfig = {}, status?: string): EngineContainerInspect =>
  inspect(
    SANDBOX,
    'k8s_POD_web_default_uid_2',
    { 'io.kubernetes.docker.type': 'podsandbox' },
    { NetworkMode: 'none', ...host },
    status,
  );
const container = (host: EngineHostConfig = {}, status?: string): EngineContainerInspect =>
  inspect(
    CONTAINER,
    'k8s_app_web_default_uid_0',
    { 'io.kubernetes.docker.type': 'container', 'io.kubernetes.sandbox.id': SANDBOX },
    { NetworkMode: `container:${SANDBOX}`, LogConfig: { Type: 'json-file', Config: {} }, ...host },
    status,
  );

function facts(more: Partial<SwitchFacts> = {}): SwitchFacts {
  return {
    engine: { endpoint: 'unix:///var/run/docker.sock', version: '20.10.24', cgroupDriver: 'systemd' },
    containers: [sandbox(), container()],
    networks: new Map([[SANDBOX, CACHED]]),
    processes: [INCUMBENT],
    files: ['/run/cri-dockerd.sock'],
    checkpoints: new Map([['/var/lib/cri-dockerd/sandbox', [SANDBOX]]]),
    cniProblem: '',
    ignoredFlags: [],
    settings: resolveSettings({}, {}),
    ...more,
  };
}

const only = (given: SwitchFacts) => assess(given).pods[0]!;
const texts = (given: SwitchFacts): string[] => {
  const { notes, pods } = assess(given);
  return [...notes, ...pods.flatMap((pod) => pod.notes)].map(({ severity, text }) => `${severity}: ${text}`);
};

describe('the switch check of a pod', () => {
  it('accepts a pod of cri-dockerd on CNI as it is', () => {
    const report = assess(facts());
    expect(report.pods).toEqual([
      {
        id: SANDBOX,
        ...{ namespace: 'default', name: 'web', attempt: 2, madeBy: 'another runtime', state: 'ready' },
        ...{ network: 'CNI', ips: ['10.1.0.7'], hostPorts: [], checkpoint: true, notes: [] },
        containers: [
          {
            ...{ name: 'app', id: CONTAINER, state: 'running', logDriver: 'json-file' },
            log: 'stays a link until it is rotated or the container ends, then a CRI file',
          },
        ],
      },
    ]);
    expect(report.notes).toEqual([]);
    expect(exitCodeOf(report)).toBe(0);
  });

  it.each([
    { desc: 'the host network', host: { NetworkMode: 'host' }, network: 'host', ips: [] },
    {
      desc: "the Engine's bridge",
      host: { NetworkMode: 'default' },
      network: 'Docker bridge',
      ips: ['172.17.0.5'],
    },
  ])('shows the network and the addresses of a pod on $desc', ({ host, network, ips }) => {
    expect(only(facts({ containers: [sandbox(host)], networks: new Map() }))).toMatchObject({ network, ips });
  });

  it('warns that a pod without a usable cache entry keeps the address of its namespace', () => {
    const found = { ...CACHED, source: 'namespace' as const, ips: ['10.1.0.8'] };
    const given = facts({ networks: new Map([[SANDBOX, found]]) });
    expect(only(given)).toMatchObject({
      network: 'CNI, no usable cache entry',
      ips: ['10.1.0.8'],
      state: 'ready',
    });
    expect(exitCodeOf(assess(given))).toBe(1);
  });

  it('finds the cache entry with which the network of an ended pod will be freed', () => {
    const found = { ready: false, ips: [], source: 'namespace' as const, networkName: 'net' };
    const given = facts({ containers: [sandbox({}, 'exited')], networks: new Map([[SANDBOX, found]]) });
    expect(only(given)).toMatchObject({ network: 'CNI', state: 'not ready', ips: [], notes: [] });
  });

  it('says that a pod whose network is not set up will be replaced', () => {
    const found = { ready: false, ips: [], source: 'namespace' as const, networkName: '' };
    const given = facts({ networks: new Map([[SANDBOX, found]]) });
    expect(only(given)).toMatchObject({ state: 'not ready', ips: [] });
    expect(texts(given)).toEqual([expect.stringMatching(/^warning: .*kubelet will replace it/)]);
  });

  it('recognizes a pod on kubenet by its cache entry', () => {
    const given = facts({ networks: new Map([[SANDBOX, { ...CACHED, networkName: 'kubenet' }]]) });
    expect(only(given).network).toBe('kubenet');
    expect(texts(given)).toEqual([expect.stringMatching(/^warning: on kubenet/)]);
  });

  it('reports neither an address nor a network warning for an ended pod', () => {
    const given = facts({
      containers: [sandbox({}, 'exited'), container({}, 'exited')],
      networks: new Map([
        [SANDBOX, { ready: false, ips: [], source: 'namespace' as const, networkName: '' }],
      ]),
    });
    expect(only(given)).toMatchObject({ state: 'not ready', ips: [], notes: [] });
    expect(exitCodeOf(assess(given))).toBe(0);
  });

  it('names the host ports, and notes a missing checkpoint for the way back', () => {
    const host = {
      PortBindings: {
        '80/tcp': [{ HostIp: '', HostPort: '8080' }],
        '53/udp': [{ HostIp: '10.0.0.1', HostPort: '53' }],
      },
    };
    const given = facts({ containers: [sandbox(host)], checkpoints: new Map() });
    expect(only(given).hostPorts).toEqual(['8080→80/tcp', '10.0.0.1:53→53/udp']);
    expect(texts(given)).toEqual([expect.stringMatching(/^note: no checkpoint/)]);
  });

  it.each(['created', 'paused'])('reports a pod whose sandbox is %s', (status) => {
    expect(texts(facts({ containers: [sandbox({}, status)] })).join()).toMatch(/sandbox/);
  });
});

describe('the switch check of a log', () => {
  const logOf = (host: EngineHostConfig, status?: string, mode: 'cri' | 'link' = 'cri') => {
    const given = facts({
      containers: [sandbox(), container(host, status)],
      settings: resolveSettings({ 'container-logs': mode }, {}),
    });
    return { log: only(given).containers[0]!.log, notes: texts(given) };
  };

  it.each(['local', 'journald', 'none'])(
    'says that the driver %s writes no file, before and after the switch',
    (Type) => {
      const { log, notes } = logOf({ LogConfig: { Type, Config: {} } });
      expect(log).toBe('no file');
      expect(notes).toEqual([expect.stringContaining(Type)]);
    },
  );

  it('says that the log of an ended container stays', () =>
    expect(logOf({}, 'exited').log).toBe("stays a link to the Engine's file"));

  it('says that a log stays with --container-logs=link', () =>
    expect(logOf({}, 'running', 'link').log).toBe("stays a link to the Engine's file"));

  it('warns of a log that the Engine compresses', () =>
    expect(logOf({ LogConfig: { Type: 'json-file', Config: { compress: 'true' } } }).notes).toEqual([
      expect.stringMatching(/^warning: .*compress=true/),
    ]));
});

describe('the switch check of the node', () => {
  const kubelet = (...args: string[]): NodeProcess => ({ name: 'kubelet', pid: 9, args });

  it.each<[string, Partial<SwitchFacts>, RegExp, number]>([
    [
      'kubenet',
      { processes: [{ ...INCUMBENT, args: ['--network-plugin', 'kubenet'] }] },
      /^problem: .*kubenet/,
      2,
    ],
    ['no CNI for new pods', { cniProblem: 'there is none' }, /^problem: .*there is none/, 2],
    ['no runtime that serves', { processes: [] }, /^note: neither/, 0],
    [
      'a kubelet that uses another endpoint',
      { processes: [INCUMBENT, kubelet('--container-runtime-endpoint=unix:///run/other.sock')] },
      /^warning: kubelet connects to unix:\/\/\/run\/other.sock/,
      1,
    ],
    [
      'dockershim',
      { processes: [kubelet('--container-runtime', 'docker')] },
      /^warning: .*built-in dockershim/m,
      1,
    ],
    [
      'flags without effect',
      { ignoredFlags: [{ name: '--hairpin-mode', why: 'there is no kubenet' }] },
      /^note: --hairpin-mode/,
      0,
    ],
  ])('reports %s', (_desc, more, text, code) => {
    expect(texts(facts(more)).join('\n')).toMatch(text);
    expect(exitCodeOf(assess(facts(more)))).toBe(code);
  });

  it('says nothing about a kubelet that uses the same socket by another name', () => {
    const processes = [INCUMBENT, kubelet('--container-runtime-endpoint', 'unix:///run/cri-dockerd.sock')];
    expect(texts(facts({ processes }))).toEqual([]);
  });

  it('reports checkpoints that no pod needs any more', () => {
    const checkpoints = new Map([['/var/lib/cri-dockerd/sandbox', [SANDBOX, 'c'.repeat(64)]]]);
    expect(assess(facts({ checkpoints })).checkpoints).toEqual([
      { directory: '/var/lib/cri-dockerd/sandbox', count: 2, leftover: ['c'.repeat(64)] },
    ]);
  });

  it('reports containers that only look like a pod’s', () => {
    const fake = inspect('d'.repeat(64), 'mine', { 'io.kubernetes.docker.type': 'podsandbox' }, {});
    const lost = inspect('e'.repeat(64), 'k8s_x_y_z_u_0', { 'io.kubernetes.docker.type': 'container' }, {});
    const given = facts({ containers: [fake, lost] });
    expect(assess(given).pods).toEqual([]);
    expect(texts(given).join('\n')).toMatch(/mine has the labels of a sandbox[^]*has no sandbox anymore/);
  });
});

it('the report of the switch check has a table of pods, and the worst notes first', () => {
  const given = facts({
    cniProblem: 'there is none',
    containers: [sandbox({ PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } }), container()],
    checkpoints: new Map(),
  });
  const text = renderReport(assess(given));
  expect(text).toMatch(/^Engine {7}20\.10\.24 at unix/);
  expect(text).toMatch(/cri-dockerd {2}process 7: --network-plugin=cni/);
  expect(text).toMatch(/^POD +STATE +NETWORK +IP +HOST PORTS +CONTAINERS +LOGS +NOTES$/m);
  expect(text).toMatch(
    /^default\/web #2 +ready +CNI +10\.1\.0\.7 +8080→80\/tcp +app \(running\) +json-file: /m,
  );
  expect(text.indexOf('problem ')).toBeLessThan(text.indexOf('note '));
  expect(text).toContain('solve the problems (1) before you switch');
});
