import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { cri } from '../../src/proto';
import { decodeCheckpoint } from '../../src/translate/sandbox/cri-dockerd-checkpoint';
import type { EngineContainerInspect } from '../../src/engine/types';
import { parseCri } from '../unit/logs/support/log-room';
import { ChildDaemon } from './support/child-daemon';
import { CniNode } from './support/cni-node';
import { Command } from './support/command';
import { engineGet, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { Incumbent } from './support/incumbent';

const TICKER = 'n=0; while :; do echo "line $n"; n=$((n+1)); usleep 20000; done';

// Up to four processes start one after the other, with a pod's CNI, which takes a long time on a busy machine.
jest.setTimeout(300_000);

let node: CniNode;
let daemon: ChildDaemon;
let commands: Command[] = [];
let counter = 0;

beforeEach(async () => {
  node = await CniNode.create();
  await node.configure(node.network(['10.89.0.0/16']));
  daemon = await ChildDaemon.start(node.arguments);
});

afterEach(async () => {
  for (const command of commands) await command.kill();
  commands = [];
  try {
    // A test that failed may have left the daemon dead or without its node.
    await daemon.kill9();
    await daemon.launch();
    await daemon.stop();
  } finally {
    await node.destroy();
  }
});

interface Pod {
  readonly id: string;
  readonly container: string;
  readonly logPath: string;
}

async function startPod(hostPort: number): Promise<Pod> {
  const name = `handed-${process.pid}-${++counter}`;
  const sandbox: cri.IPodSandboxConfig = {
    metadata: { name, uid: `uid-${name}`, namespace: 'test', attempt: 0 },
    log_directory: join(daemon.logDirectory, name),
    port_mappings: [{ container_port: 80, host_port: hostPort }],
    linux: {},
  };
  const { pod_sandbox_id: id } = await daemon.client.call('RunPodSandbox', { config: sandbox });
  const { container_id: container } = await daemon.client.call('CreateContainer', {
    pod_sandbox_id: id,
    sandbox_config: sandbox,
    config: {
      metadata: { name: 'ticker', attempt: 0 },
      image: { image: TEST_IMAGE },
      command: ['/bin/sh', '-c', TICKER],
      log_path: 'ticker/0.log',
      linux: {},
    },
  });
  await daemon.client.call('StartContainer', { container_id: container });
  const logPath = join(daemon.logDirectory, name, 'ticker/0.log');
  return { id, container, logPath };
}

/** Starts `dockbridge hand-over` with the daemon's own options. */
function begin(): Command {
  const args = [
    ...['--docker-endpoint', sharedDockerHost(), '--state-dir', join(daemon.directory, 'state')],
    ...['--cri-dockerd-root-directory', join(daemon.directory, 'cri-dockerd')],
    ...['--dockershim-root-directory', join(daemon.directory, 'dockershim'), ...node.arguments],
  ];
  const command = new Command(['hand-over', ...args]);
  commands.push(command);
  return command;
}

async function handOver(): Promise<string> {
  const command = begin();
  const code = await command.exit();
  if (code !== 0) throw new Error(`hand-over ended with ${code}:\n${command.stdout}${command.stderr}`);
  return command.stdout;
}

const changes = (told: string): string[] => told.split('\n').filter((line) => line.startsWith('+'));

async function spoolOf(container: string): Promise<string> {
  const inspect = (await engineGet(
    sharedDockerHost(),
    `/containers/${container}/json`,
  )) as EngineContainerInspect;
  return inspect.LogPath ?? '';
}

async function copyOf({ logPath }: Pod): Promise<string> {
  const names = (await readdir(dirname(logPath))).filter((name) => name !== basename(logPath));
  expect(names).toEqual([expect.stringMatching(/^0\.log\.\d{8}-\d{6}$/)]);
  return join(dirname(logPath), names[0] ?? '');
}

const numbers = (texts: readonly string[]): number[] =>
  texts.map((text) => Number(/^line (\d+)/.exec(text)?.[1] ?? NaN));

/** Checks everything that cri-dockerd and log readers must find. */
async function expectHandedOver(pod: Pod): Promise<void> {
  expect((await lstat(pod.logPath)).isSymbolicLink()).toBe(true);
  expect(await readlink(pod.logPath)).toBe(await spoolOf(pod.container));
  const copied = numbers(parseCri(await readFile(await copyOf(pod), 'latin1')).map(({ text }) => text));
  expect(copied).toEqual(copied.map((_, at) => at));
  const records = (await readFile(pod.logPath, 'utf8')).split('\n').slice(0, -1);
  const linked = numbers(records.map((record) => (JSON.parse(record) as { log: string }).log));
  // The Engine's file may begin before the end of the copy. Some lines may be in both, and none is missing.
  expect(linked).toEqual(linked.map((_, at) => at + linked[0]!));
  expect(linked[0]).toBeLessThanOrEqual(copied.length);
  expect(linked.length).toBeGreaterThanOrEqual(copied.length);
  const checkpoint = await readFile(join(daemon.directory, 'cri-dockerd/sandbox', pod.id), 'utf8');
  expect(decodeCheckpoint(checkpoint)).toMatchObject({
    isSound: true,
    namespace: 'test',
    ports: [{ containerPort: 80, protocol: 'tcp' }],
  });
  expect((await node.traces()).filter((trace) => /^(netns|mount) /.test(trace))).toEqual([]);
}

const dnat = async (hostPort: number): Promise<string[]> =>
  (await node.run('iptables-save', '-t', 'nat'))
    .split('\n')
    .filter((rule) => rule.includes(`--dport ${hostPort} `));

describe('dockbridge hand-over', () => {
  it('makes the running daemon leave the node as cri-dockerd expects it, and refuse later calls', async () => {
    const pod = await startPod(18_081);
    const told = changes(await handOver());
    expect(told.map((line) => line.split(' ')[1]).sort()).toEqual(['checkpoint', 'log', 'namespace']);
    await expectHandedOver(pod);

    const { status } = await daemon.client.call('Status', {});
    expect(status?.conditions[0]).toMatchObject({
      type: 'RuntimeReady',
      status: false,
      reason: 'HandedOver',
    });
    const refused = await daemon.client
      .call('StopPodSandbox', { pod_sandbox_id: pod.id })
      .catch((error: unknown) => error);
    expect(String(refused)).toContain('UNAVAILABLE');
    expect(String(refused)).toContain('was handed over');
    const { containers } = await daemon.client.call('ListContainers', {});
    expect(containers.map(({ id }) => id)).toEqual([pod.container]);

    expect(changes(await handOver())).toEqual([]);
    await expectHandedOver(pod);

    await daemon.kill9();
    expect(changes(await handOver())).toEqual([]);
    await expectHandedOver(pod);

    // cri-dockerd ends the pod, whose ports it knows from the checkpoint alone.
    expect(await dnat(18_081)).not.toEqual([]);
    const root = join(daemon.directory, 'cri-dockerd');
    const incumbent = await Incumbent.start({ kind: 'cri-dockerd-master', root, node });
    await incumbent.stopPod(pod.id);
    expect(await dnat(18_081)).toEqual([]);
    await incumbent.removePod(pod.id);
    expect(await node.traces()).toEqual([]);
  });

  it('does the work itself when no daemon runs, and completes the copies of a killed daemon', async () => {
    const pod = await startPod(18_082);
    await daemon.kill9();
    const told = changes(await handOver());
    expect(told.map((line) => line.split(' ')[1]).sort()).toEqual(['checkpoint', 'log', 'namespace']);
    await expectHandedOver(pod);
    expect(changes(await handOver())).toEqual([]);
  });

  it('has the same result when the daemon is killed in the middle', async () => {
    const pods = [await startPod(18_083), await startPod(18_084), await startPod(18_085)];
    const first = begin();
    await first.prints('+ log');
    await daemon.kill9();
    await first.exit();
    await handOver();
    for (const pod of pods) await expectHandedOver(pod);
  });

  it('is reversed by a daemon that starts again: links stay, and the pods end without a trace', async () => {
    const pod = await startPod(18_086);
    await handOver();
    await daemon.kill9();
    await daemon.launch();
    const { status } = await daemon.client.call('Status', {});
    expect(status?.conditions[0]).toMatchObject({ type: 'RuntimeReady', status: true });
    expect((await lstat(pod.logPath)).isSymbolicLink()).toBe(true);
    await daemon.client.call('StopPodSandbox', { pod_sandbox_id: pod.id });
    expect(await dnat(18_086)).toEqual([]);
    await daemon.client.call('RemovePodSandbox', { pod_sandbox_id: pod.id });
    expect(await node.traces()).toEqual([]);
    expect(await readdir(join(daemon.directory, 'cri-dockerd/sandbox'))).toEqual([]);
  });
});
