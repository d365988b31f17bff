import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { silentLogger } from '../../../src/lib/logger';
import { CniNetwork, type CniOptions } from '../../../src/network/cni/cni-network';
import {
  addressesOfProcess,
  guessedResult,
  isLoopbackUp,
} from '../../../src/network/cni/namespace-addresses';
import { runPlugin } from '../../../src/network/cni/run-plugin';
import { RunningPlugins } from '../../../src/network/cni/running-plugins';
import type { NetworkChoice } from '../../../src/network/pod-network';
import type { PodToAttach } from '../../../src/translate/sandbox/pod-to-attach';
import { gate, settle, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { FakeNode, listOf, RESULT } from './fake-plugins';

jest.mock('../../../src/network/cni/namespace-addresses');
jest.mock('../../../src/network/cni/run-plugin', () => ({
  ...jest.requireActual<object>('../../../src/network/cni/run-plugin'),
  runPlugin: jest.fn(),
}));

/** These mocks replace the kernel's data about namespaces, and the processes of plugins. */
const kernel = jest.mocked(addressesOfProcess);
const guess = jest.mocked(guessedResult);
const loopback = jest.mocked(isLoopbackUp);
const plugins = jest.mocked(runPlugin);

const VERSIONS = JSON.stringify({ supportedVersions: ['0.3.1', '1.0.0', '1.1.0'] });
const IPS = ['10.1.0.2', 'fd00::2'];
const PORT = { hostPort: 80, containerPort: 8080, protocol: 'tcp' as const, hostIp: '' };
const MAPPING = { hostPort: 80, containerPort: 8080, protocol: 'tcp', hostIP: '' };

let node: FakeNode;
let network: CniNetwork;
let told: unknown[][];
let story: string[];
let inputs: Record<string, unknown>[];
let signals: (AbortSignal | undefined)[];
let environments: Readonly<Record<string, string>>[];
/** The results by `COMMAND plugin`. */
let answers: Record<string, () => Promise<string>>;

beforeEach(async () => {
  [told, story, inputs, signals, environments, answers] = [[], [], [], [], [], {}];
  plugins.mockReset().mockImplementation(({ plugin, command, stdin, signal, environment }) => {
    if (command === 'VERSION') return Promise.resolve(VERSIONS);
    story.push(`${command} ${plugin}`);
    inputs.push(JSON.parse(stdin) as Record<string, unknown>);
    signals.push(signal);
    environments.push(environment);
    return answers[`${command} ${plugin}`]?.() ?? Promise.resolve(JSON.stringify(RESULT));
  });
  kernel.mockReset().mockResolvedValue([]);
  guess.mockReset().mockResolvedValue(undefined);
  loopback.mockReset().mockResolvedValue(true);
  node = await FakeNode.create();
  for (const name of ['one', 'two', 'loopback'])
    await writeFile(join(node.binDir, name), '', { mode: 0o755 });
  await node.configure(listOf(['one', 'two']));
  network = await open();
});
afterEach(async () => {
  await network.close();
  await node.remove();
});

async function open(choice?: NetworkChoice, over: Partial<CniOptions> = {}): Promise<CniNetwork> {
  const note =
    (level: string) =>
    (...line: unknown[]): void =>
      void told.push([level, ...line]);
  return CniNetwork.open(
    {
      ...{ confDir: node.confDir, binDirs: [node.binDir], cacheDir: node.cacheDir },
      ...{ othersCacheDir: node.othersCacheDir, handles: node.namespaces, timeoutMs: 10_000 },
      running: new RunningPlugins(join(node.root, 'plugins'), silentLogger),
      logger: { ...silentLogger, warn: note('warn') },
      ...over,
    },
    choice,
  );
}

async function reopen(over: Partial<CniOptions> = {}): Promise<void> {
  await network.close();
  network = await open(undefined, over);
}

const sandbox = (id: string, pid = 7): EngineContainerInspect =>
  ({
    ...{ Id: id, State: { Pid: pid }, Name: '/k8s_POD_web_shop_u1_0' },
    HostConfig: { PortBindings: { '8080/tcp': [{ HostIp: '', HostPort: '80' }] } },
  }) as unknown as EngineContainerInspect;
const pod = (more: Partial<PodToAttach> = {}): PodToAttach => ({
  ...{ name: 'web', namespace: 'shop', uid: 'u1', annotations: {}, ports: [], dns: undefined },
  ...more,
});
const cached = async (): Promise<string[]> =>
  (await readdir(join(node.cacheDir, 'results')).catch(() => [])).sort();
const warnings = (): unknown[] => told.filter(([level]) => level === 'warn').map(([, message]) => message);

async function file(name: string, body: object | string): Promise<void> {
  await mkdir(join(node.cacheDir, 'results'), { recursive: true });
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  await writeFile(join(node.cacheDir, 'results', name), text);
}
const entry = (containerId: string, more: object = {}): object => ({
  ...{ kind: 'cniCacheV1', containerId, ifName: 'eth0', networkName: 'net', result: RESULT },
  config: Buffer.from(JSON.stringify(listOf(['one', 'two']))).toString('base64'),
  cniArgs: [['K8S_POD_INFRA_CONTAINER_ID', containerId]],
  ...more,
});

describe('the directory of handles', () => {
  it.each<{ desc: string; choice?: NetworkChoice; isInstalled: boolean; isPrepared: boolean }>([
    { desc: 'no choice', isInstalled: false, isPrepared: true },
    { desc: 'the choice cni', choice: 'cni', isInstalled: false, isPrepared: true },
    { desc: 'the choice auto', choice: 'auto', isInstalled: false, isPrepared: false },
    { desc: 'the choice auto', choice: 'auto', isInstalled: true, isPrepared: true },
    { desc: 'the choice bridge', choice: 'bridge', isInstalled: true, isPrepared: false },
  ])('is prepared for $desc (CNI installed: $isInstalled): $isPrepared', async (row) => {
    const { choice, isInstalled, isPrepared } = row;
    const prepare = jest.spyOn(node.namespaces, 'prepare');
    const empty = join(node.root, 'empty');
    const dirs = isInstalled ? {} : { confDir: empty, binDirs: [empty] };
    const other = await open(choice, dirs);
    expect(prepare.mock.calls.length).toBe(isPrepared ? 1 : 0);
    expect(other.isInstalled).toBe(isInstalled && choice !== 'bridge');
    await other.close();
  });

  it('does not keep dockbridge from starting if it cannot be prepared', async () => {
    jest.spyOn(node.namespaces, 'prepare').mockRejectedValue(new Error('EROFS'));
    await reopen();
    expect(told).toEqual([
      ['warn', 'Cannot prepare the directory of network namespaces', { error: 'EROFS' }],
    ]);
    await network.attach(sandbox('c1'), pod());
  });
});

describe('the network state of a pod', () => {
  it('is that of its entry, while its container runs in the held namespace', async () => {
    await network.attach(sandbox('c1'), pod());
    kernel.mockResolvedValue(['10.9.9.9']);
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: true, ips: IPS });
    expect(await network.stateOf(sandbox('c1', 0))).toEqual({ ready: false, ips: [] });
    expect(await network.stateOf(sandbox('c1', 8))).toEqual({ ready: false, ips: [] });
    expect(kernel).not.toHaveBeenCalled();
  });

  it.each<[string, string[], string[]]>([
    ['the addresses of the entry, if the kernel has them all', ['10.9.0.9', 'fd00::2', '10.1.0.2'], IPS],
    ['the addresses of the kernel, if one is missing', ['10.1.0.2'], ['10.1.0.2']],
    ['the addresses of the kernel, if they differ', ['10.9.0.9'], ['10.9.0.9']],
  ])('has, without a handle, %s', async (_, found, ips) => {
    await file('net-d1-eth0', entry('d1'));
    await reopen();
    kernel.mockResolvedValue(found);
    expect(await network.stateOf(sandbox('d1'))).toEqual({ ready: true, ips });
    expect(kernel.mock.calls).toEqual([[7, 'eth0']]);
    // The pod has a handle now.
    expect(node.namespaces.lives.get('d1')).toBe(7);
    expect(await network.stateOf(sandbox('d1'))).toEqual({ ready: true, ips: IPS });
  });

  it("has the kernel's addresses if there is no entry, and is empty if the kernel has none", async () => {
    expect(await network.stateOf(sandbox('d1'))).toEqual({ ready: false, ips: [] });
    expect(network.heldSandboxes()).toEqual([]);
    kernel.mockResolvedValue(['10.9.0.9']);
    expect(await network.stateOf(sandbox('d1'))).toEqual({ ready: true, ips: ['10.9.0.9'] });
    expect([network.heldSandboxes(), network.rememberedIps('d1')]).toEqual([['d1'], []]);
  });

  it("has the kernel's addresses even if no handle can be made", async () => {
    jest.spyOn(node.namespaces, 'hold').mockRejectedValue(new Error('EPERM'));
    kernel.mockResolvedValue(['10.9.0.9']);
    expect(await network.stateOf(sandbox('d1'))).toEqual({ ready: true, ips: ['10.9.0.9'] });
    expect([network.heldSandboxes(), told]).toEqual([[], []]);
  });
});

describe('the loopback interface', () => {
  it.each([true, false])('is brought up by its plugin unless it is up: %p', async (isUp) => {
    loopback.mockResolvedValue(isUp);
    const { signal } = new AbortController();
    await network.attach(sandbox('c1'), pod(), signal);
    expect(story).toEqual([...(isUp ? [] : ['ADD loopback']), 'ADD one', 'ADD two']);
    expect(loopback.mock.calls).toEqual([[7]]);
    expect(new Set(signals)).toEqual(new Set([signal]));
    if (!isUp)
      expect(environments[0]).toEqual({
        ...{ CNI_CONTAINERID: 'c1', CNI_NETNS: '/handles/c1', CNI_IFNAME: 'lo', CNI_ARGS: '' },
        CNI_PATH: node.binDir,
      });
  });
});

describe('an attachment', () => {
  it('is recorded as begun before its ADD, with all data that its DEL needs', async () => {
    const added = gate<string>();
    answers['ADD one'] = () => added.promise;
    network.setPodCidr('10.1.0.0/24');
    const attaching = network.attach(sandbox('c1'), pod({ ports: [PORT] }));
    await until(() => story.length === 1);
    const filed = join(node.cacheDir, 'results/net-c1-eth0');
    const begun = JSON.parse(readFileSync(filed, 'utf8')) as object;
    expect(begun).toEqual({
      ...{ kind: 'cniCacheV1', containerId: 'c1', ifName: 'eth0', networkName: 'net' },
      netns: '/handles/c1',
      config: Buffer.from(JSON.stringify(listOf(['one', 'two']))).toString('base64'),
      cniArgs: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', 'shop'],
        ['K8S_POD_NAME', 'web'],
        ['K8S_POD_INFRA_CONTAINER_ID', 'c1'],
        ['K8S_POD_UID', 'u1'],
      ],
      capabilityArgs: { portMappings: [MAPPING], ipRanges: [[{ subnet: '10.1.0.0/24' }]] },
    });
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: false, ips: [] });
    added.resolve(JSON.stringify(RESULT));
    await attaching;
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: true, ips: IPS });
  });

  it("is undone with the kernel's data if its ADD was interrupted", async () => {
    const guessed = { cniVersion: '1.0.0', ips: [{ address: '10.1.0.9/32' }] };
    guess.mockResolvedValue(guessed);
    answers['ADD two'] = () => Promise.reject(new Error('cut off'));
    await expect(network.attach(sandbox('c1'), pod())).rejects.toThrow('cut off');
    expect(story).toEqual(['ADD one', 'ADD two', 'DEL two', 'DEL one']);
    expect(guess.mock.calls).toEqual([[7, 'eth0', '/handles/c1']]);
    expect(inputs.at(-1)?.prevResult).toEqual(guessed);
    expect([await cached(), network.heldSandboxes(), [...node.namespaces.lives]]).toEqual([[], [], []]);
    expect(told).toEqual([]);
  });

  it('leaves nothing behind if its namespace cannot be held', async () => {
    jest.spyOn(node.namespaces, 'hold').mockRejectedValue(new Error('it has just ended'));
    await expect(network.attach(sandbox('c1'), pod())).rejects.toThrow('it has just ended');
    expect(story).toEqual([]);
    expect([await cached(), network.heldSandboxes(), told]).toEqual([[], [], []]);
  });

  it('that gives no address is undone, and the error names the pod', async () => {
    answers['ADD two'] = () => Promise.resolve('{"cniVersion":"1.0.0"}');
    expect(await rejectionOf(network.attach(sandbox('c1'), pod()))).toBe(
      'INTERNAL CNI network "net" gave pod shop/web no address',
    );
    expect(story.slice(2)).toEqual(['DEL two', 'DEL one']);
    expect(await cached()).toEqual([]);
  });

  it('that cannot be undone at once is reported, and undone later', async () => {
    let failures = 1;
    answers['ADD two'] = () => Promise.reject(new Error('no'));
    answers['DEL two'] = () => (failures-- > 0 ? Promise.reject(new Error('busy')) : Promise.resolve(''));
    await expect(network.attach(sandbox('c1'), pod())).rejects.toThrow('no');
    expect(told[0]).toEqual([
      ...['warn', 'Cannot undo a failed CNI ADD yet; retrying'],
      { sandbox: 'c1', error: 'busy' },
    ]);
    await until(() => network.heldSandboxes().length === 0, 'the second try');
    expect(story.slice(2)).toEqual(['DEL two', 'DEL two', 'DEL one']);
  });

  it('can use a port again once the pod that had it is gone', async () => {
    await network.attach(sandbox('c1'), pod({ ports: [PORT] }));
    const other = pod({ name: 'other', ports: [PORT] });
    expect(await rejectionOf(network.attach(sandbox('c2'), other))).toBe(
      'FAILED_PRECONDITION host port 80/tcp is taken by pod shop/web',
    );
    expect(network.heldSandboxes()).toEqual(['c1']);
    await network.detach('c1', 0);
    await network.attach(sandbox('c2'), other);
    expect(network.heldSandboxes()).toEqual(['c2']);
  });

  it('reports missing capabilities in the log and to the counter', async () => {
    const unserved: string[] = [];
    await reopen({ onUnserved: (capability) => unserved.push(capability) });
    await network.attach(sandbox('c1'), pod({ ports: [PORT] }));
    expect(unserved).toEqual(['portMappings']);
    expect(told).toEqual([
      [
        ...['warn', 'The network does not provide what a pod requests'],
        { sandbox: 'c1', pod: 'shop/web', reason: expect.stringContaining('host port 80/tcp') as string },
      ],
    ]);
    await reopen();
    await network.attach(sandbox('c2'), pod({ ports: [{ ...PORT, hostPort: 81 }] }));
    expect(told).toHaveLength(2);
  });

  it('waits its turn: one operation on a pod at a time, and sixteen pods at a time', async () => {
    const added = gate<string>();
    answers['ADD one'] = () => added.promise;
    const ids = Array.from({ length: 20 }, (_, at) => `c${at}`);
    const attaching = ids.map((id) => network.attach(sandbox(id), pod({ name: id })));
    const detaching = network.detach('c0', 0);
    await until(() => story.length === 16);
    await settle();
    expect(new Set(story)).toEqual(new Set(['ADD one']));
    expect(story).toHaveLength(16);
    const gone = new AbortController();
    const leaving = network.attach(sandbox('c0'), pod(), gone.signal);
    gone.abort(new Error('left'));
    await expect(leaving).rejects.toThrow('left');
    added.resolve(JSON.stringify(RESULT));
    await Promise.all([...attaching, detaching]);
    expect(network.heldSandboxes()).toHaveLength(19);
  });
});

describe('a detach', () => {
  it('undoes each entry, with its plugins in reverse order and without guesses', async () => {
    await file('net-d1-eth0', entry('d1'));
    const lo = { cniVersion: '0.3.1', name: 'cni-loopback', plugins: [{ type: 'loopback' }] };
    const config = Buffer.from(JSON.stringify(lo)).toString('base64');
    await file('cni-loopback-d1-lo', entry('d1', { ifName: 'lo', networkName: 'cni-loopback', config }));
    await reopen();
    await network.detach('d1', 7);
    expect(story.filter((step) => step !== 'DEL loopback')).toEqual(['DEL two', 'DEL one']);
    expect(environments.map(({ CNI_NETNS }) => CNI_NETNS)).toEqual(Array(3).fill('/handles/d1'));
    expect(guess).not.toHaveBeenCalled();
    expect([await cached(), network.heldSandboxes(), node.namespaces.lives.size]).toEqual([[], [], 0]);
  });

  it('of an unknown pod does nothing', async () => {
    await network.detach('nobody', 7);
    network.abandon('nobody');
    await settle();
    expect([story, node.namespaces.lives.size]).toEqual([[], 0]);
  });

  it('stops at a plugin that fails, and continues there the next time', async () => {
    await network.attach(sandbox('c1'), pod());
    answers['DEL one'] = () => Promise.reject(new Error('busy'));
    await expect(network.detach('c1', 7)).rejects.toThrow('busy');
    expect([await cached(), network.heldSandboxes()]).toEqual([['net-c1-eth0'], ['c1']]);
    expect(node.namespaces.lives.has('c1')).toBe(true);
    answers = {};
    await network.detach('c1', 7);
    expect([await cached(), network.heldSandboxes()]).toEqual([[], []]);
  });

  it("of a lost entry uses the kernel's addresses, or those seen before", async () => {
    kernel.mockResolvedValue(['10.9.0.9']);
    for (const id of ['d1', 'd2']) await network.stateOf(sandbox(id));
    const result = (id: string, ip: string): object => ({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', sandbox: `/handles/${id}` }],
      ips: [{ address: `${ip}/32`, interface: 0 }],
    });
    kernel.mockResolvedValue(['10.9.0.8']);
    await network.detach('d1', 7);
    expect(inputs.at(-1)?.prevResult).toEqual(result('d1', '10.9.0.8'));
    expect(environments.at(-1)).toEqual({
      ...{ CNI_CONTAINERID: 'd1', CNI_NETNS: '/handles/d1', CNI_IFNAME: 'eth0', CNI_PATH: node.binDir },
      CNI_ARGS:
        'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=d1;K8S_POD_UID=u1',
    });
    await network.detach('d2', 0);
    expect(inputs.at(-1)?.prevResult).toEqual(result('d2', '10.9.0.9'));
    expect([story.length, network.heldSandboxes()]).toEqual([4, []]);
  });

  it('of a lost entry runs no plugin if the pod no longer has an address', async () => {
    kernel.mockResolvedValue(['10.9.0.9']);
    await network.stateOf(sandbox('d1'));
    kernel.mockResolvedValue([]);
    await network.detach('d1', 7);
    expect([story, network.heldSandboxes(), node.namespaces.lives.size]).toEqual([[], [], 0]);
  });

  it('of a lost entry that fails is logged and not repeated', async () => {
    kernel.mockResolvedValue(['10.9.0.9']);
    await network.stateOf(sandbox('d1'));
    answers['DEL two'] = () => Promise.reject(new Error('busy'));
    await network.detach('d1', 7);
    expect(told).toEqual([
      [
        ...['warn', 'The network of a pod without a cached result may not be fully freed'],
        { sandbox: 'd1', error: 'busy' },
      ],
    ]);
    expect(network.heldSandboxes()).toEqual([]);
  });

  it('of a lost entry without a configured network only releases the handle', async () => {
    node.namespaces.lives.set('d1', 7);
    await network.close();
    network = await open(undefined, { confDir: join(node.root, 'nowhere') });
    expect(network.heldSandboxes()).toEqual(['d1']);
    await network.detach('d1', 0);
    expect([story, network.heldSandboxes(), node.namespaces.lives.size]).toEqual([[], [], 0]);
  });

  it("prefers the first plain result with an address to the kernel's data", async () => {
    await file('a-d1-eth0', { cniVersion: '1.0.0', ips: [] });
    await file('b-d1-eth0', RESULT);
    await file('c-d1-eth0', '{"half');
    kernel.mockResolvedValue(['10.9.0.9']);
    await reopen();
    await network.detach('d1', 7);
    expect(inputs.map(({ prevResult }) => prevResult)).toEqual([RESULT, RESULT]);
    expect(await cached()).toEqual([]);
  });

  it('ends the attempts to free a pod that had vanished', async () => {
    await network.attach(sandbox('c1'), pod());
    answers['DEL two'] = () => Promise.reject(new Error('busy'));
    network.abandon('c1');
    await until(() => warnings().length === 1);
    expect(warnings()).toEqual(['Cannot free the network of a vanished pod yet; retrying']);
    answers = {};
    await network.detach('c1', 0);
    const pending = Reflect.get(Reflect.get(network, 'cleanup') as object, 'pending') as Map<string, unknown>;
    expect(pending.size).toBe(0);
  });
});

describe('a pod that vanished', () => {
  it('keeps its network while processes live in it, and the log says why', async () => {
    await network.attach(sandbox('c1'), pod());
    node.namespaces.living.add('c1');
    network.abandon('c1');
    await until(() => told.length === 1);
    expect(told[0]?.[2]).toEqual({
      ...{ sandbox: 'c1', inMs: 1_000 },
      error: 'processes are still running in the network namespace of a pod that the Engine does not know',
    });
    expect(await network.livingSandboxes()).toEqual(new Set(['c1']));
    expect(story).toHaveLength(2);
  });

  it('is held while it has an entry or a handle, and is freed together with its unreadable file', async () => {
    await file('net-d1-eth0', entry('d1'));
    await file('net-d2-eth0', 'damaged');
    await file('net-d4-eth0', entry('d4', { netns: '/run/netns/other' }));
    node.namespaces.lives.set('d3', 7);
    await reopen();
    expect([...network.heldSandboxes()].sort()).toEqual(['d1', 'd3']);
    for (const id of ['d1', 'd2', 'd3']) network.abandon(id);
    await until(() => network.heldSandboxes().length === 0);
    while ((await cached()).length > 1) await settle();
    expect(await cached()).toEqual(['net-d4-eth0']);
  });
});

describe('the release of the network', () => {
  it('returns the pods that were held, and ends all clean-up', async () => {
    await network.attach(sandbox('c1'), pod());
    await network.attach(sandbox('c2'), pod({ name: 'second' }));
    node.namespaces.lives.delete('c2');
    // d3 is a handle that this run has not made.
    node.namespaces.lives.set('d3', 9);
    expect(await network.letGo()).toEqual(['c1', 'd3']);
    expect(node.namespaces.lives.size).toBe(0);
    kernel.mockResolvedValue(IPS);
    expect(await network.stateOf(sandbox('c1'))).toEqual({ ready: true, ips: IPS });
    expect(node.namespaces.lives.size).toBe(0);
    network.abandon('c1');
    await settle();
    expect([story.length, await cached()]).toEqual([4, ['net-c1-eth0', 'net-c2-eth0']]);
  });
});

describe('garbage', () => {
  const collect = async (existing: readonly string[]): Promise<void> => {
    network.collectGarbage(new Set(existing));
    await (Reflect.get(network, 'tidy') as Promise<void>);
  };
  const valid = (): unknown => inputs.at(-1)?.['cni.dev/valid-attachments'];
  const ids = (...all: string[]): object[] => all.map((containerID) => ({ containerID, ifname: 'eth0' }));

  beforeEach(async () => {
    await node.configure(listOf(['one'], { cniVersion: '1.1.0' }));
  });

  it('is everything that belongs to no existing or newer sandbox and to no other program', async () => {
    await file('net-gone-eth0', entry('gone'));
    await file('net-here-eth0', entry('here'));
    await file('net-other-eth0', entry('other', { netns: '/run/netns/other' }));
    await reopen();
    story.length = 0;
    await network.attach(sandbox('later'), pod());
    await collect(['here', 'lost']);
    expect(story).toEqual(['ADD one', 'GC one']);
    const found = valid() as { containerID: string }[];
    expect([...found].sort((a, b) => (a.containerID < b.containerID ? -1 : 1))).toEqual(
      ids('here', 'later', 'lost', 'other'),
    );
  });

  it('does not include what other programs have recorded in the cache of CNI’s library', async () => {
    await mkdir(join(node.othersCacheDir, 'results'), { recursive: true });
    await writeFile(join(node.othersCacheDir, 'results/net-x1-eth0'), JSON.stringify(entry('x1')));
    await reopen();
    await collect([]);
    expect(valid()).toEqual(ids('x1'));
  });

  it('is not collected without a network, or while a plugin of an earlier run is at work', async () => {
    await network.close();
    network = await open(undefined, { confDir: join(node.root, 'nowhere') });
    await collect([]);
    expect([story, warnings()]).toEqual([[], ['CNI network is not ready']]);
    told.length = 0;
    const running = new RunningPlugins(join(node.root, 'plugins'), silentLogger);
    jest.spyOn(running, 'settle').mockResolvedValue(false);
    await reopen({ running });
    story.length = 0;
    await collect([]);
    expect([story, warnings()]).toEqual([
      [],
      ['Skipping CNI garbage collection, because a plugin of an earlier run is still running'],
    ]);
  });

  it('that cannot be collected is logged, and does not prevent an attachment', async () => {
    await reopen();
    answers['GC one'] = () => Promise.reject(new Error('busy'));
    await collect([]);
    expect(told).toEqual([['warn', 'CNI garbage collection failed', { error: 'busy' }]]);
    await network.attach(sandbox('c1'), pod());
  });

  it('collection ends silently when the daemon ends', async () => {
    await reopen();
    answers['GC one'] = () =>
      new Promise((_, reject) =>
        signals.at(-1)?.addEventListener('abort', () => reject(new Error('given up')), { once: true }),
      );
    network.collectGarbage(new Set());
    await until(() => story.includes('GC one'));
    await network.close();
    expect(told).toEqual([]);
    expect(existsSync(node.confDir)).toBe(true);
  });
});

describe('network trouble', () => {
  it("is the error of CHECK and the missing capabilities, read with the caller's signal", async () => {
    expect(await network.troubleOf({ id: 'c1' })).toBe('');
    await network.attach(sandbox('c1'), pod({ ports: [PORT] }));
    const { signal } = new AbortController();
    expect(await network.troubleOf({ id: 'c1' }, signal)).toMatch(/^host port 80\/tcp: no plugin/);
    expect(story.slice(2)).toEqual(['CHECK one', 'CHECK two']);
    expect(signals.at(-1)).toBe(signal);
    answers['CHECK one'] = () => Promise.reject(new Error('no address'));
    expect(await network.troubleOf({ id: 'c1' })).toMatch(/^no address; host port 80\/tcp/);
  });
});
