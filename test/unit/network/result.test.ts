import { convertResult, podIps, resultOf } from '../../../src/network/cni/result';
import { RESULT } from './fake-plugins';

describe('a CNI result', () => {
  it('has the addresses inside the pod, IPv4 first', () => {
    expect(podIps(RESULT, 'eth0')).toEqual(['10.1.0.2', 'fd00::2']);
    // Some plugins name only the node's side.
    const onHost = { interfaces: [{ name: 'br0' }], ips: [{ address: '10.0.0.1/8', interface: 0 }] };
    expect(podIps(onHost, 'eth0')).toEqual(['10.0.0.1']);
    expect(podIps({ ip4: { ip: '10.0.0.2/8' }, ip6: { ip: 'fd00::3/64' } }, 'eth0')).toEqual([
      '10.0.0.2',
      'fd00::3',
    ]);
    expect(podIps({ ips: 'none' }, 'eth0')).toEqual([]);
    // Plugins write addresses in several forms, but kubelet and its clients compare them as text.
    const ips = [{ address: 'FD00:0::2/64' }, { address: 'fd00::2/64' }];
    expect(podIps({ ips }, 'eth0')).toEqual(['fd00::2']);
  });

  it('has the addresses of the requested interface, not of others inside the pod', () => {
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

  it('has the addresses of all interfaces inside the pod if none has the requested name', () => {
    const interfaces = [{ name: 'br0' }, { name: 'ib0', sandbox: '/ns' }];
    const ips = [
      { address: '10.0.0.1/24', interface: 0 },
      { address: '10.1.0.2/24', interface: 1 },
    ];
    expect(podIps({ interfaces, ips }, 'eth0')).toEqual(['10.1.0.2']);
  });

  it("uses the plugin's indices, even if some elements of the list are not interfaces", () => {
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

  it("has no addresses if it is loopback's", () => {
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

  it('loses only the new fields of 1.1 in an older version', () => {
    const [one, other] = [
      { name: 'eth0', mac: 'aa', sandbox: '/ns' },
      { name: 'veth0', mac: 'bb' },
    ];
    const route = { dst: '0.0.0.0/0', gw: '10.1.0.1' };
    const ips = [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 0 }];
    const dns = { nameservers: ['10.0.0.1'] };
    const old = { cniVersion: '1.0.0', interfaces: [one, other], ips, routes: [route], dns };
    const fresh = {
      ...{ cniVersion: '1.1.0', ips, dns },
      interfaces: [
        { ...one, mtu: 1, socketPath: '/s', pciID: 'p' },
        { ...other, mtu: 2 },
      ],
      routes: [{ ...route, mtu: 3, advmss: 4, priority: 5, table: 6, scope: 7 }],
    };
    expect(convertResult(fresh, '1.0.0')).toEqual(old);
    expect(convertResult(fresh, '1.1.0')).toEqual(fresh);
    expect(convertResult(old, '1.1.0')).toEqual({ ...old, cniVersion: '1.1.0' });
  });

  it('is unchanged in its own version, and in that of the network if it names none', () => {
    const ips = [{ version: '4', address: '10.1.0.2/24' }, 'odd'];
    for (const cniVersion of ['1.0.0', undefined, ''])
      expect(convertResult({ cniVersion, ips }, '1.0.0')).toEqual({ cniVersion: '1.0.0', ips });
  });

  it('is read as the first version if it names an unknown one', () => {
    const result = { cniVersion: '7.0.0', ip4: { ip: '10.0.0.2/8', routes: [{ dst: '10.0.0.0/8' }] } };
    expect(convertResult(result, '0.1.0')).toEqual({ ...result, cniVersion: '0.1.0' });
    expect(convertResult(result, '1.0.0')).toEqual({
      cniVersion: '1.0.0',
      ips: [{ address: '10.0.0.2/8' }],
      routes: [{ dst: '10.0.0.0/8' }],
    });
  });

  it('has no routes and no interfaces if it had none', () => {
    const ips = [{ address: 'fd00::2/64' }];
    expect(convertResult({ cniVersion: '1.1.0', ips }, '0.4.0')).toEqual({
      cniVersion: '0.4.0',
      ips: [{ version: '6', address: 'fd00::2/64' }],
    });
    expect(convertResult({ cniVersion: '0.2.0', routes: [{ dst: '::/0' }] }, '1.1.0')).toEqual({
      ...{ cniVersion: '1.1.0', ips: [] },
      routes: [{ dst: '::/0' }],
    });
    expect(convertResult({ cniVersion: '1.0.0', ips }, '0.1.0')).toEqual({
      cniVersion: '0.1.0',
      ip6: { ip: 'fd00::2/64' },
    });
  });

  it('has the routes that its version can hold', () => {
    const routes = [{ dst: '10.0.0.0/8' }];
    const stray = { ip4: { ip: '10.9.0.9/8', routes: [{ dst: '1.0.0.0/8' }] } };
    expect(convertResult({ cniVersion: '0.4.0', ips: [], routes, ...stray }, '1.1.0')).toEqual({
      ...{ cniVersion: '1.1.0', ips: [], routes },
    });
    const both = { ip4: { ip: '10.0.0.2/8', routes }, ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] } };
    expect(convertResult({ cniVersion: '0.2.0', ...both }, '1.0.0').routes).toEqual([
      ...routes,
      { dst: '::/0' },
    ]);
  });

  it('keeps an invalid list of interfaces as it is', () => {
    const result = { cniVersion: '1.1.0', interfaces: 'none', ips: [{ address: '10.0.0.2/8' }] };
    expect(convertResult(result, '1.0.0')).toEqual({ ...result, cniVersion: '1.0.0' });
    expect(podIps(result, 'eth0')).toEqual(['10.0.0.2']);
  });

  it('returns no address for an invalid one', () => {
    const ips = [{ address: 7 }, { address: 'x/24' }, {}, { address: '10.0.0.2' }];
    expect(podIps({ ips }, 'eth0')).toEqual(['10.0.0.2']);
    expect(podIps({}, 'eth0')).toEqual([]);
    expect(podIps({ ip4: 'none', ip6: { gateway: 'fd00::1' } }, 'eth0')).toEqual([]);
  });

  it("keeps the plugin's order within a family", () => {
    const ips = ['10.0.0.9/8', 'fd00::9/64', '10.0.0.2/8', 'fd00::2/64'].map((address) => ({ address }));
    expect(podIps({ ips }, 'eth0')).toEqual(['10.0.0.9', '10.0.0.2', 'fd00::9', 'fd00::2']);
  });

  it('can be made from addresses alone', () => {
    const made = resultOf(['10.0.0.2', 'fd00::2'], 'net1', '/ns');
    expect(made).toEqual({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'net1', sandbox: '/ns' }],
      ips: [
        { address: '10.0.0.2/32', interface: 0 },
        { address: 'fd00::2/128', interface: 0 },
      ],
    });
    expect(podIps(made, 'net1')).toEqual(['10.0.0.2', 'fd00::2']);
  });
});
