import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SwitchReport } from '../../src/cli/switch-check/switch-report';
import { NamespaceMode, Protocol } from '../../src/proto/enums';
import { engineIps } from '../../src/translate/sandbox/sandbox-record';
import { CniNode } from './support/cni-node';
import { Command } from './support/command';
import { engineLeftovers, IS_HOSTILE, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { EngineProxy } from './support/engine-proxy';
import { Incumbent } from './support/incumbent';
import { snapshotOf } from './support/snapshot';

const FOREVER = 'while :; do sleep 1; done';
const PORTS = [{ protocol: Protocol.TCP, container_port: 80, host_port: 8080, host_ip: '' }];
const HOST_NETWORK = { security_context: { namespace_options: { network: NamespaceMode.NODE } } };

/**
 * The expected note about each container. Under the hostile daemon.json the incumbent's logs are
 * compressed.
 */
const LOG_NOTES = IS_HOSTILE
  ? [{ severity: 'warning', text: expect.stringMatching(/compress=true.*cannot be followed/) as string }]
  : [];

let node: CniNode;
let directory: string;
let engine: EngineProxy;
/** One cri-dockerd with CNI, and one without. */
let onCni: Incumbent;
let onBridge: Incumbent;
let pods: { by: Incumbent; id: string }[];

beforeEach(async () => {
  node = await CniNode.create();
  await node.configure(node.network(['10.96.0.0/24']));
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-switch-'));
  engine = await EngineProxy.start(sharedDockerHost());
  const shared = { kind: 'cri-dockerd-0.4', root: join(directory, 'cri-dockerd') } as const;
  onCni = await Incumbent.start({ ...shared, node });
  onBridge = await Incumbent.start(shared);
  pods = [];
});
afterEach(async () => {
  for (const { by, id } of pods) {
    await by.stopPod(id);
    await by.removePod(id);
  }
  await engine.stop();
  try {
    expect(await node.traces()).toEqual([]);
    expect(await engineLeftovers(sharedDockerHost())).toEqual([]);
  } finally {
    await node.destroy();
    await rm(directory, { recursive: true, force: true });
  }
});

/** Runs a pod with one container. @returns the id of the pod. */
async function run(by: Incumbent, name: string, linux: object = {}): Promise<string> {
  const id = await by.runPod({
    metadata: { name, uid: `${name}-uid`, namespace: 'switching', attempt: 0 },
    log_directory: join(directory, 'logs', name),
    port_mappings: name === 'cni-pod' ? PORTS : [],
    linux,
  });
  pods.push({ by, id });
  await by.runContainer(id, {
    metadata: { name: 'main', attempt: 0 },
    image: { image: TEST_IMAGE },
    command: ['/bin/sh', '-c', FOREVER],
    log_path: 'main/0.log',
  });
  return id;
}

async function check(...more: string[]): Promise<{ code: number | null; output: string }> {
  const command = new Command([
    ...['switch', 'check', '--docker-endpoint', engine.dockerHost, ...node.arguments],
    ...['--cri-dockerd-root-directory', join(directory, 'cri-dockerd')],
    ...['--dockershim-root-directory', join(directory, 'dockershim'), ...more],
  ]);
  const code = await command.exit();
  expect(command.stderr).toBe('');
  return { code, output: command.stdout };
}

async function reported(): Promise<{ code: number | null; report: SwitchReport }> {
  const { code, output } = await check('-o', 'json');
  return { code, report: JSON.parse(output) as SwitchReport };
}

it('switch check reports the effect of a switch on each pod, changes nothing, and exits with the worst result', async () => {
  const cni = await run(onCni, 'cni-pod');
  const bridge = await run(onBridge, 'bridge-pod');
  await run(onCni, 'host-pod', HOST_NETWORK);
  const bridgeIps = engineIps(await onBridge.inspect(bridge));
  expect(bridgeIps).toHaveLength(1);
  const cniIp = (await node.leases()).find(({ holder }) => holder.includes(cni))?.ip;
  const before = await snapshotOf(node, sharedDockerHost(), [directory, node.directory]);

  const { code, report } = await reported();
  const container = {
    ...{ name: 'main', state: 'running', logDriver: 'json-file' },
    log: 'stays a link until it is rotated or the container ends, then a CRI file',
  };
  const common = { ...{ namespace: 'switching', attempt: 0, madeBy: 'another runtime', state: 'ready' } };
  const expected = (name: string, network: string, ips: readonly unknown[], hostPorts: string[]): object => ({
    ...{ ...common, name, network, ips, hostPorts, checkpoint: true, notes: LOG_NOTES },
    id: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    containers: [{ ...container, id: expect.stringMatching(/^[0-9a-f]{64}$/) as string }],
  });
  expect(report.pods).toEqual([
    expected('bridge-pod', 'Docker bridge', bridgeIps, []),
    expected('cni-pod', 'CNI', [cniIp], ['8080→80/tcp']),
    expected('host-pod', 'host', [], []),
  ]);
  expect(report.checkpoints).toEqual([
    { directory: join(directory, 'cri-dockerd/sandbox'), count: 3, leftover: [] },
  ]);
  const warnings = 3 * LOG_NOTES.length;
  expect(report.summary).toMatchObject({ pods: 3, containers: 3, warnings, problems: 0 });
  expect(code).toBe(warnings > 0 ? 1 : 0);

  const { code: same, output: table } = await check();
  expect(same).toBe(code);
  expect(table).toMatch(
    new RegExp(`switching/cni-pod +ready +CNI +${cniIp} +8080→80/tcp +main \\(running\\)`),
  );
  expect(table).toMatch(
    warnings > 0
      ? /3 pods with 3 containers: /
      : /3 pods with 3 containers: dockbridge can take over all of them as they are\.\n$/,
  );
  expect(await snapshotOf(node, sharedDockerHost(), [directory, node.directory])).toEqual(before);
  expect(new Set(engine.calls.map(({ method }) => method))).toEqual(new Set(['GET']));
});

it('switch check reports a pod without a cache entry, and that new pods would have no network', async () => {
  const pod = await run(onCni, 'cni-pod');
  const entry = join(node.cacheDir, 'results', `test-net-${pod}-eth0`);
  await rename(entry, `${directory}/entry`);
  const cniIp = (await node.leases()).find(({ holder }) => holder.includes(pod))?.ip;

  const warned = await reported();
  expect(warned.report.pods).toMatchObject([
    {
      ...{ network: 'CNI, no usable cache entry', state: 'ready', ips: [cniIp] },
      notes: [{ severity: 'warning' }, ...LOG_NOTES],
    },
  ]);
  expect(warned.code).toBe(1);

  await rm(join(node.confDir, '10-test.conflist'));
  const refused = await check();
  expect(refused.output).toMatch(/^problem +node +new pods will get no network/m);
  expect(refused.code).toBe(2);
  // The DEL of the pod needs both files again.
  await rename(`${directory}/entry`, entry);
  await node.configure(node.network(['10.96.0.0/24']));
});

it('switch check exits with 2 when the Engine does not answer', async () => {
  const command = new Command(['switch', 'check', '--docker-endpoint', `unix://${directory}/none.sock`]);
  expect(await command.exit()).toBe(2);
  expect(command.stderr).toMatch(/^dockbridge switch check: .+/);
  expect(command.stdout).toBe('');
});
