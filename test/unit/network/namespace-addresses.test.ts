import fsPromises from 'node:fs/promises';
import {
  addressesOfProcess,
  guessedResult,
  holderByRoute,
  isLoopbackUp,
  parseFibTrie,
  parseInet6,
} from '../../../src/network/cni/namespace-addresses';

describe("the kernel's tables", () => {
  it('contain the addresses of a namespace', () => {
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

  it('assign addresses to the interface with the closest subnet', () => {
    const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100010A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
net1\t0007010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
    expect(holderByRoute('10.1.0.2', routes)).toBe('eth0');
    expect(holderByRoute('10.1.7.2', routes)).toBe('net1');
    expect(holderByRoute('192.168.0.2', routes)).toBeUndefined();
  });

  it('assign addresses to the closest subnet, whatever the order of the routes', () => {
    const line = (name: string, destination: string, mask: string, gateway = '00000000'): string =>
      [name, destination, gateway, '0001', '0', '0', '0', mask, '0', '0', '0'].join('\t');
    // 10.1.128.0/17 and 10.1.240.0/20 have masks with equally many digits but not equally many bits.
    const [wide, close] = [line('wide', '0080010A', '0080FFFF'), line('close', '00F0010A', '00F0FFFF')];
    expect(holderByRoute('10.1.240.9', [wide, close].join('\n'))).toBe('close');
    expect(holderByRoute('10.1.240.9', [close, wide].join('\n'))).toBe('close');
    expect(holderByRoute('10.1.128.9', [close, wide].join('\n'))).toBe('wide');
    // The highest bit of the last byte is the sign of a 32-bit number.
    const half = line('half', '8000010A', '80FFFFFF');
    expect(holderByRoute('10.1.0.200', half)).toBe('half');
    expect(holderByRoute('10.1.0.100', half)).toBeUndefined();
  });

  it.each([
    ['a gateway', 'eth0\t0000010A\t0100010A\t3\t0\t0\t0\t0000FFFF'],
    ['no netmask', 'eth0\t00000000\t00000000\t1\t0\t0\t0\t00000000'],
    ['an overlong netmask', 'eth0\t0000010A\t00000000\t1\t0\t0\t0\t0000FFFF0'],
    ['a netmask with a bad beginning', 'eth0\t0000010A\t00000000\t1\t0\t0\t0\tx0000FFFF'],
    ['too few columns', 'eth0\t0000010A\t00000000'],
  ])('assign nothing by a route with %s', (_, routes) => {
    expect(holderByRoute('10.1.0.2', routes)).toBeUndefined();
  });

  it('give no address for an incomplete line', () => {
    expect(parseFibTrie('   /32 host LOCAL\n |-- 10.0.0.2\n  /24 host LOCAL\n')).toEqual([]);
    const address = 'fd000088000000000000000000000002';
    for (const bad of [`${address}0`, `0${address}`, address.slice(1), 'x'])
      expect(parseInet6(`${bad} 02 40 00 80 eth0`)).toEqual([]);
    expect(parseInet6(`  ${address} 02 40 00 80 eth0\n${address} 02 40 00 80 lo\n\n`)).toEqual([
      { ip: 'fd00:88::2', name: 'eth0' },
    ]);
  });
});

describe('the addresses of a process', () => {
  const LOCAL = (...ips: string[]): string => ips.map((ip) => `|-- ${ip}\n /32 host LOCAL\n`).join('');
  const INET6 = (name: string, last: number): string =>
    `fd00008800000000000000000000000${last} 02 40 00 80 ${name}\n`;
  const ROUTES = ['eth0 0000010A 00000000 1 0 0 0 00FFFFFF', 'net1 0001010A 00000000 1 0 0 0 00FFFFFF'].join(
    '\n',
  );
  let files: Record<string, string>;
  beforeEach(() => {
    files = {};
    jest.spyOn(fsPromises, 'readFile').mockImplementation((path) => {
      const text = files[path as string];
      return text === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(text);
    });
  });
  afterEach(() => jest.restoreAllMocks());

  function inNamespace(trie: string, inet6 = '', route = ROUTES): void {
    files = { '/proc/7/net/fib_trie': trie, '/proc/7/net/if_inet6': inet6, '/proc/7/net/route': route };
  }

  it('are those of its interface, IPv4 first, without loopback', async () => {
    inNamespace(LOCAL('127.0.0.1', '10.1.1.3', '10.1.0.2'), INET6('net1', 1) + INET6('eth0', 2));
    expect(await addressesOfProcess(7, 'eth0')).toEqual(['10.1.0.2', 'fd00:88::2']);
    expect(await addressesOfProcess(7, 'net1')).toEqual(['10.1.1.3', 'fd00:88::1']);
  });

  it('are all addresses if its interface has none', async () => {
    inNamespace(LOCAL('10.1.1.3', '10.1.0.2'), INET6('net1', 1));
    expect(await addressesOfProcess(7, 'ib0')).toEqual(['10.1.1.3', '10.1.0.2', 'fd00:88::1']);
  });

  it('are those of its interface if no route says otherwise', async () => {
    inNamespace(LOCAL('192.168.0.2'), INET6('net1', 1));
    expect(await addressesOfProcess(7, 'eth0')).toEqual(['192.168.0.2']);
  });

  it('are empty if the kernel has no data', async () => {
    expect(await addressesOfProcess(7, 'eth0')).toEqual([]);
    expect(await guessedResult(7, 'eth0', '/ns')).toBeUndefined();
    expect(await isLoopbackUp(7)).toBe(false);
  });

  it('replace a result that was never recorded', async () => {
    inNamespace(LOCAL('10.1.0.2', '10.1.1.3'));
    expect(await guessedResult(7, 'net1', '/ns')).toEqual({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'net1', sandbox: '/ns' }],
      ips: [{ address: '10.1.1.3/32', interface: 0 }],
    });
    files['/proc/0/net/fib_trie'] = LOCAL('10.1.0.2');
    expect(await guessedResult(0, 'net1', '/ns')).toBeUndefined();
  });

  it('show whether loopback is up', async () => {
    inNamespace(LOCAL('127.0.0.1'));
    expect(await isLoopbackUp(7)).toBe(true);
    inNamespace(LOCAL('10.1.0.2'));
    expect(await isLoopbackUp(7)).toBe(false);
  });
});
