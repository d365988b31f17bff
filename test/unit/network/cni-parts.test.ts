import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { capabilityArgs } from '../../../src/network/cni/asked-of-network';
import { refusePortConflicts } from '../../../src/network/cni/host-ports';
import { holderByRoute, parseFibTrie, parseInet6 } from '../../../src/network/cni/namespace-addresses';
import { parseNetworkList, parseSinglePlugin } from '../../../src/network/cni/network-config';
import { findConfig } from '../../../src/network/cni/node-network';
import { convertResult, podIps } from '../../../src/network/cni/result';
import type { PodPort } from '../../../src/translate/sandbox/ports';
import { thrownBy } from '../support/errors';
import { ATTACHMENT, FakeNode, listOf, RESULT } from './fake-plugins';

const POD = { name: 'p', namespace: 'n', uid: 'u', annotations: {}, ports: [], dns: undefined };

describe('A network configuration', () => {
  it.each([
    ['nothing', '', 'is not a JSON object'],
    ['a list', '[]', 'is not a JSON object'],
    ['no name', { plugins: [{ type: 'a' }] }, 'has no "name"'],
    [
      'a name that would leave the cache',
      listOf(['a'], { name: '../x' }),
      '"name": "../x" is not a network name',
    ],
    ['no plugins', listOf([]), '"plugins" is empty'],
    ['plugins of a wrong kind', listOf([], { plugins: {} }), '"plugins" is not a list'],
    ['a plugin without type', listOf([{}]), 'plugins[0] has no "type"'],
    ['a plugin elsewhere', listOf(['../evil']), 'plugins[0]: "type" "../evil" is a path, not a name'],
    [
      'odd capabilities',
      listOf([{ type: 'a', capabilities: [] }]),
      'plugins[0]: "capabilities" is not an object',
    ],
    ['an odd switch', listOf(['a'], { disableCheck: 1 }), '"disableCheck" is neither true nor false'],
    [
      'a version of the future',
      listOf(['a'], { cniVersion: '9.9.9' }),
      'CNI version 9.9.9 is not known; this runtime speaks 0.1.0 to 1.1.0',
    ],
  ])('with %s is refused', (_, config, error) => {
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    expect(thrownBy(() => parseNetworkList(text))).toBe(`FAILED_PRECONDITION ${error}`);
  });

  it('of several versions is taken in the newest that we know', () => {
    const several = listOf(['a'], { cniVersion: '0.4.0', cniVersions: ['0.3.1', '1.0.0', '7.0.0'] });
    expect(parseNetworkList(JSON.stringify(several)).cniVersion).toBe('1.0.0');
  });

  it('of one plugin becomes a list', () => {
    const config = parseSinglePlugin(JSON.stringify({ cniVersion: '0.3.1', name: 'n', type: 'a', mtu: 9 }));
    expect(config).toMatchObject({
      name: 'n',
      cniVersion: '0.3.1',
      plugins: [{ type: 'a', body: { mtu: 9 } }],
    });
    expect(parseNetworkList(config.json)).toEqual(config);
  });
});

describe('A configuration directory', () => {
  let node: FakeNode;
  beforeEach(async () => (node = await FakeNode.create()));
  afterEach(() => node.remove());

  it('gives its first valid file in lexical order and names the broken ones', async () => {
    await node.configure('{', '00-broken.conflist');
    await node.configure(listOf(['a'], { name: 'ten' }), '10-a.conflist');
    await node.configure(listOf(['a'], { name: 'nine' }), '9-b.conflist');
    await node.configure(listOf(['a'], { name: 'none' }), '05-c.txt');
    const { config, file, problems } = await findConfig(node.confDir);
    expect([config?.name, file]).toEqual(['ten', join(node.confDir, '10-a.conflist')]);
    expect(problems).toEqual([`${join(node.confDir, '00-broken.conflist')}: is not a JSON object`]);
  });

  it('may hold plugins of a network in files of their own', async () => {
    await node.configure(listOf(['a'], { cniVersion: '1.1.0' }));
    await mkdir(join(node.confDir, 'net'));
    await writeFile(join(node.confDir, 'net/20.conf'), JSON.stringify({ type: 'c' }));
    await writeFile(join(node.confDir, 'net/10.conf'), JSON.stringify({ type: 'b' }));
    const types = async (): Promise<string[] | undefined> =>
      (await findConfig(node.confDir)).config?.plugins.map(({ type }) => type);
    expect(await types()).toEqual(['a', 'b', 'c']);
    await node.configure(listOf(['a'], { cniVersion: '1.1.0', loadOnlyInlinedPlugins: true }));
    expect(await types()).toEqual(['a']);
  });

  it('names a plugin in a file of its own that is no object', async () => {
    await node.configure(listOf(['a'], { cniVersion: '1.1.0' }));
    await mkdir(join(node.confDir, 'net'));
    await writeFile(join(node.confDir, 'net/10.conf'), '[]');
    await writeFile(join(node.confDir, 'net/20.txt'), '[]');
    const list = join(node.confDir, '10-net.conflist');
    expect(await findConfig(node.confDir)).toEqual({
      config: undefined,
      file: '',
      problems: [`${list}: ${join(node.confDir, 'net/10.conf')} is not a JSON object`],
    });
  });

  it('that is not there is empty', async () => {
    expect(await findConfig('/nowhere/at/all')).toEqual({ config: undefined, file: '', problems: [] });
  });
});

describe('A result', () => {
  it('has the addresses inside the pod, IPv4 first', () => {
    expect(podIps(RESULT, 'eth0')).toEqual(['10.1.0.2', 'fd00::2']);
    // Some plugins name the node's side only.
    const onHost = { interfaces: [{ name: 'br0' }], ips: [{ address: '10.0.0.1/8', interface: 0 }] };
    expect(podIps(onHost, 'eth0')).toEqual(['10.0.0.1']);
    expect(podIps({ ip4: { ip: '10.0.0.2/8' }, ip6: { ip: 'fd00::3/64' } }, 'eth0')).toEqual([
      '10.0.0.2',
      'fd00::3',
    ]);
    expect(podIps({ ips: 'none' }, 'eth0')).toEqual([]);
    // However a plugin writes them: kubelet and its clients compare them as text.
    const ips = [{ address: 'FD00:0::2/64' }, { address: 'fd00::2/64' }];
    expect(podIps({ ips }, 'eth0')).toEqual(['fd00::2']);
  });

  it('has those of the interface that was asked for, not of others inside the pod', () => {
    const result = {
      interfaces: [
        { name: 'net1', sandbox: '/ns' },
        { name: 'eth0' },
        { name: 'eth0', sandbox: '/ns' },
        { name: 'lo', sandbox: '/ns' },
      ],
      ips: [
        { address: '192.168.7.5/24', interface: 0 },
        { address: '10.0.0.1/24', interface: 1 },
        { address: '10.1.0.2/24', interface: 2 },
        { address: '127.0.0.1/8', interface: 3 },
        { address: 'fd00::2/64' },
      ],
    };
    expect(podIps(result, 'eth0')).toEqual(['10.1.0.2', 'fd00::2']);
    expect(podIps(result, 'net1')).toEqual(['192.168.7.5', 'fd00::2']);
  });

  it('has those of whatever is inside the pod where nothing has the name that was asked for', () => {
    const interfaces = [{ name: 'br0' }, { name: 'ib0', sandbox: '/ns' }];
    const ips = [
      { address: '10.0.0.1/24', interface: 0 },
      { address: '10.1.0.2/24', interface: 1 },
    ];
    expect(podIps({ interfaces, ips }, 'eth0')).toEqual(['10.1.0.2']);
  });

  it('has them by the numbers that the plugin counts, also over what is no interface', () => {
    const interfaces = [null, { name: 'net1', sandbox: '/ns' }, { name: 'eth0', sandbox: '/ns', mtu: 1400 }];
    const ips = [
      { address: '192.168.7.5/24', interface: 1 },
      { address: '10.1.0.2/24', interface: 2 },
    ];
    const result = { cniVersion: '1.1.0', interfaces, ips };
    expect(podIps(result, 'eth0')).toEqual(['10.1.0.2']);
    expect(podIps(convertResult(result, '1.0.0'), 'eth0')).toEqual(['10.1.0.2']);
    expect(convertResult(result, '1.0.0').interfaces).toEqual([
      null,
      { name: 'net1', sandbox: '/ns' },
      { name: 'eth0', sandbox: '/ns' },
    ]);
  });

  it("has none when it is loopback's", () => {
    const lo = { name: 'lo', sandbox: '/ns' };
    const ips = [
      { address: '127.0.0.1/8', interface: 0 },
      { address: '::1/128', interface: 0 },
    ];
    expect(podIps({ interfaces: [lo], ips }, 'eth0')).toEqual([]);
    expect(podIps({ ip4: { ip: '127.0.0.1/8' } }, 'eth0')).toEqual([]);
  });

  it('keeps its meaning in every version', () => {
    for (const version of ['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const) {
      const there = convertResult(RESULT, version);
      expect(there.cniVersion).toBe(version);
      expect(podIps(there, 'eth0')).toEqual(['10.1.0.2', 'fd00::2']);
      expect(podIps(convertResult(there, '1.0.0'), 'eth0')).toEqual(['10.1.0.2', 'fd00::2']);
    }
    expect(
      convertResult(
        {
          ip4: { ip: '10.0.0.2/8', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0' }] },
          cniVersion: '0.2.0',
        },
        '0.4.0',
      ),
    ).toEqual({
      cniVersion: '0.4.0',
      ips: [{ version: '4', address: '10.0.0.2/8', gateway: '10.0.0.1' }],
      routes: [{ dst: '0.0.0.0/0' }],
    });
  });

  it('has one address of each family, with its own routes, in the oldest versions', () => {
    const routes = [{ dst: '::/0', gw: 'fd00::1' }, { dst: '0.0.0.0/0' }];
    expect(convertResult({ ...RESULT, routes }, '0.2.0')).toEqual({
      cniVersion: '0.2.0',
      ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0' }] },
      ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0', gw: 'fd00::1' }] },
    });
    const [, only] = RESULT.ips;
    expect(convertResult({ ...RESULT, ips: [only] }, '0.1.0')).toEqual({
      cniVersion: '0.1.0',
      ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1' },
    });
  });
});

describe('Capability arguments', () => {
  it.each([
    ['10M', 10_000_000],
    ['1Mi', 1_048_576],
    ['1e6', 1_000_000],
    ['1.5k', 1_500],
    ['1P', 1e15],
  ])('take a bandwidth of %s', (quantity, rate) => {
    const args = capabilityArgs({ ...POD, annotations: { 'kubernetes.io/ingress-bandwidth': quantity } }, '');
    expect(args).toEqual({ bandwidth: { ingressRate: rate, ingressBurst: 2_147_483_647 } });
  });

  it.each(['', 'fast', '-1M', '999', '2P', '1MM', 'NaN'])('refuse a bandwidth of "%s"', (quantity) => {
    const annotations = { 'kubernetes.io/egress-bandwidth': quantity };
    expect(thrownBy(() => capabilityArgs({ ...POD, annotations }, ''))).toContain(
      'is not a bandwidth from 1k to 1P',
    );
  });

  it('hold ports, DNS and a set of ranges for each pod CIDR', () => {
    const ports: PodPort[] = [{ hostPort: 80, containerPort: 8080, protocol: 'sctp', hostIp: '::1' }];
    const dns = { servers: ['10.0.0.1'], searches: [], options: [] };
    expect(capabilityArgs({ ...POD, ports, dns }, '10.0.0.0/24, fd00::/64')).toEqual({
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'sctp', hostIP: '::1' }],
      dns,
      ipRanges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: 'fd00::/64' }]],
    });
    expect(capabilityArgs(POD, '')).toEqual({});
  });
});

describe('Host ports', () => {
  const port = (hostIp: string, protocol: PodPort['protocol'] = 'tcp'): PodPort => ({
    ...{ hostPort: 80, containerPort: 1, protocol, hostIp },
  });
  it.each([
    ['', '', true],
    ['', '10.0.0.1', true],
    ['10.0.0.1', '0.0.0.0', true],
    ['::', 'fd00::1', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['fd00::1', 'FD00:0::1', true],
    ['0:0:0:0:0:0:0:0', 'fd00::1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['0.0.0.0', '::', false],
    ['fd00::1', '0.0.0.0', false],
  ])('of "%s" and "%s" conflict: %s', (one, other, conflict) => {
    const taken = {
      ...ATTACHMENT,
      config: '',
      result: undefined,
      capabilityArgs: capabilityArgs({ ...POD, ports: [port(other)] }, ''),
    };
    const refuse = (wanted: PodPort): void => refusePortConflicts([wanted], [taken]);
    if (conflict) expect(() => refuse(port(one))).toThrow('host port 80/tcp');
    else refuse(port(one));
    refuse(port(one, 'udp'));
  });
});

describe("The kernel's tables", () => {
  it('tell the addresses of a namespace', () => {
    const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.1.0.0
        /24 link UNICAST
     |-- 10.1.0.2
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
Local:
     |-- 10.1.0.2
        /32 host LOCAL
     |-- 10.1.0.255
        /32 link BROADCAST
`;
    expect(parseFibTrie(trie)).toEqual(['10.1.0.2', '127.0.0.1']);
    const inet6 = `fe80000000000000385fd5fffe2a6d2d 02 40 20 80     eth0
fd000088000000000000000000000002 02 40 00 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
`;
    expect(parseInet6(inet6)).toEqual([{ ip: 'fd00:88::2', name: 'eth0' }]);
  });

  it('belong to the interface with the closest subnet', () => {
    const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100010A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
net1\t0007010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
    expect(holderByRoute('10.1.0.2', routes)).toBe('eth0');
    expect(holderByRoute('10.1.7.2', routes)).toBe('net1');
    expect(holderByRoute('192.168.0.2', routes)).toBeUndefined();
  });
});
