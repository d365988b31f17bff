import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineContainerInspect } from '../../../src/engine/types';
import { silentLogger } from '../../../src/lib/logger';
import type { DirectoryWatch } from '../../../src/network/cni/directory-watch';
import { addressesOfProcess } from '../../../src/network/cni/namespace-addresses';
import type { NodeNetwork } from '../../../src/network/cni/node-network';
import { findPodNetwork, ObservedCni } from '../../../src/network/cni/observed-cni';
import { until } from '../support/async';
import { rejectionOf } from '../support/errors';

jest.mock('../../../src/network/cni/namespace-addresses');

/** This mock replaces the kernel's data about the network namespace of a process. */
const kernel = jest.mocked(addressesOfProcess);

let root: string;
let cacheDir: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dockbridge-observed-'));
  cacheDir = join(root, 'cache');
  await Promise.all(
    ['cache/results', 'net.d', 'bin'].map((name) => mkdir(join(root, name), { recursive: true })),
  );
  kernel.mockReset();
});
afterEach(() => rm(root, { recursive: true }));

const resultOf = (...ips: string[]) => ({
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/ns' }],
  ips: ips.map((ip) => ({ address: `${ip}/24`, interface: 0 })),
});

async function file(networkName: string, result: object | undefined, id = 's1'): Promise<void> {
  await writeFile(
    join(cacheDir, 'results', `${networkName}-${id}-eth0`),
    JSON.stringify({ kind: 'cniCacheV1', containerId: id, ifName: 'eth0', networkName, result }),
  );
}

describe('findPodNetwork', () => {
  const find = (pid = 7, network: string | undefined = 'net') =>
    findPodNetwork({ cacheDir, network }, 's1', pid);

  it("uses CNI's entry if the kernel agrees with it", async () => {
    await file('net', resultOf('10.1.0.2', '10.1.0.3'));
    kernel.mockResolvedValue(['10.1.0.3', '10.1.0.2', '10.9.0.9']);
    expect(await find()).toEqual({
      ready: true,
      ips: ['10.1.0.2', '10.1.0.3'],
      source: 'cache',
      networkName: 'net',
    });
    expect(kernel.mock.calls).toEqual([[7, 'eth0']]);
  });

  it.each([
    {
      desc: 'the namespace lacks one of the addresses of the entry',
      filed: resultOf('10.1.0.2', '10.1.0.3'),
      networkName: 'net',
    },
    { desc: 'the entry has no address', filed: resultOf(), networkName: '' },
  ])("uses the kernel's data if $desc", async ({ filed, networkName }) => {
    await file('net', filed);
    kernel.mockResolvedValue(['10.1.0.2']);
    const found = await find();
    expect(found).toEqual({ ready: true, ips: ['10.1.0.2'], source: 'namespace', networkName });
  });

  it("uses the kernel's data if there is no entry", async () => {
    kernel.mockResolvedValue(['10.1.0.2']);
    expect(await find()).toEqual({ ready: true, ips: ['10.1.0.2'], source: 'namespace', networkName: '' });
  });

  it("prefers the entry of the node's present network", async () => {
    await file('a-old', resultOf('10.1.0.2'));
    await file('net', resultOf('10.1.0.2'));
    kernel.mockResolvedValue(['10.1.0.2']);
    expect((await find()).networkName).toBe('net');
    expect((await find(7, 'z')).networkName).toBe('a-old');
  });

  it.each([
    { desc: 'its ADD is not finished', result: undefined, ips: ['10.1.0.2'], pid: 7 },
    { desc: 'the kernel has no address', result: resultOf('10.1.0.2'), ips: [], pid: 7 },
    { desc: 'the sandbox has no process', result: resultOf('10.1.0.2'), ips: ['10.1.0.2'], pid: 0 },
  ])('reports a pod as not ready while $desc', async ({ result, ips, pid }) => {
    await file('net', result);
    kernel.mockResolvedValue(ips);
    expect(await find(pid)).toEqual({ ready: false, ips: [], source: 'namespace', networkName: 'net' });
    expect(kernel).toHaveBeenCalledTimes(pid === 0 ? 0 : 1);
  });
});

describe('ObservedCni', () => {
  const attached: string[] = [];
  let network: ObservedCni;
  beforeEach(() => {
    attached.length = 0;
    kernel.mockResolvedValue([]);
  });
  afterEach(() => network.close());

  async function open(forNewPods = false): Promise<void> {
    const options = { confDir: join(root, 'net.d'), binDirs: [join(root, 'bin')], cacheDir };
    network = await ObservedCni.open(
      { ...options, onAttached: (id) => attached.push(id), logger: silentLogger },
      forNewPods,
    );
  }
  const inspect = (id: string, Pid = 7) => ({ Id: id, State: { Pid } }) as EngineContainerInspect;

  it('reports a pod that was seen without a network when it may have one', async () => {
    await open();
    expect(await network.stateOf(inspect('s1'))).toEqual({ ready: false, ips: [] });
    await network.stateOf(inspect('ended', 0));
    await network.stateOf(inspect('vanished'));
    network.abandon('vanished');
    await file('net', resultOf('10.1.0.2'));
    await until(() => attached.length > 0, 'the report about s1');
    expect(new Set(attached)).toEqual(new Set(['s1']));
    kernel.mockResolvedValue(['10.1.0.2']);
    expect(await network.stateOf(inspect('s1'))).toEqual({ ready: true, ips: ['10.1.0.2'] });
    await network.stateOf(inspect('s2', 0));
    kernel.mockResolvedValue([]);
    await network.stateOf(inspect('s3'));
    attached.length = 0;
    await file('net', resultOf('10.1.0.3'), 's3');
    await until(() => attached.length > 0, 'the report about s3');
    expect(new Set(attached)).toEqual(new Set(['s3']));
  });

  it('reads the CNI configuration only if new pods use CNI', async () => {
    const config = { cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'one' }] };
    await writeFile(join(root, 'net.d/10-net.conflist'), JSON.stringify(config));
    await writeFile(join(root, 'bin/one'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await open();
    expect([network.isInstalled, network.condition().ready]).toEqual([false, false]);
    await network.close();
    await open(true);
    expect([network.isInstalled, network.condition().ready]).toEqual([true, true]);
  });

  it('changes nothing, and holds nothing', async () => {
    await open();
    expect(network.networkMode).toBe('none');
    expect(await rejectionOf(network.attach())).toBe('FAILED_PRECONDITION this dockbridge connects no pods');
    expect(await rejectionOf(network.detach())).toBe(
      'FAILED_PRECONDITION this dockbridge disconnects no pods',
    );
    network.collectGarbage();
    expect(network.rememberedIps()).toEqual([]);
    expect(network.heldSandboxes()).toEqual([]);
    expect(await network.troubleOf()).toBe('');
    expect(await network.livingSandboxes()).toEqual(new Set());
    expect(await network.letGo()).toEqual([]);
  });

  it("prefers the entry of the node's network, and waits for its pod CIDR", async () => {
    const plugin = { type: 'one', capabilities: { ipRanges: true } };
    const config = { cniVersion: '1.0.0', name: 'net', plugins: [plugin] };
    await writeFile(join(root, 'net.d/10-net.conflist'), JSON.stringify(config));
    await writeFile(join(root, 'bin/one'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await open(true);
    expect(network.condition()).toEqual({
      ...{ ready: false, reason: 'NetworkPluginNotReady' },
      message: 'CNI network "net" needs the node\'s pod CIDR, which kubelet has not sent yet',
    });
    network.setPodCidr('10.1.0.0/24');
    expect(network.condition()).toEqual({ ready: true, reason: '', message: '' });
    await file('a-old', resultOf('10.1.0.3', '10.1.0.2'));
    await file('net', resultOf('10.1.0.2', '10.1.0.3'));
    kernel.mockResolvedValue(['10.1.0.3', '10.1.0.2']);
    expect(await network.stateOf(inspect('s1'))).toEqual({ ready: true, ips: ['10.1.0.2', '10.1.0.3'] });
  });

  it('is not ready without its plugins', async () => {
    const config = { cniVersion: '1.1.0', name: 'net', plugins: [{ type: 'one' }] };
    await writeFile(join(root, 'net.d/10-net.conflist'), JSON.stringify(config));
    await open(true);
    expect(network.condition().message).toBe(
      `CNI plugin "one" is not installed in ${join(root, 'bin')} (--cni-bin-dir)`,
    );
  });

  it('closes its watches', async () => {
    await open();
    const [watch, nodes] = [
      Reflect.get(network, 'watch') as DirectoryWatch,
      Reflect.get(network, 'node') as NodeNetwork,
    ];
    const closed = [jest.spyOn(watch, 'close'), jest.spyOn(nodes, 'close')];
    await network.close();
    expect(closed.map((close) => close.mock.calls.length)).toEqual([1, 1]);
  });
});
