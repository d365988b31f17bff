import { readFile } from 'node:fs/promises';
import { resultOf, type CniResult } from './result';

/**
 * Reads the addresses in a process's network namespace from /proc, without entering the namespace, for pods whose CNI result is
 * lost. Lists IPv4 addresses first. Omits loopback addresses and IPv6 addresses that are not global. If `ifName` has addresses,
 * also omits the addresses of all other interfaces.
 */
export async function addressesOfProcess(pid: number, ifName: string): Promise<string[]> {
  const [trie = '', inet6 = '', routes = ''] = await Promise.all(
    ['fib_trie', 'if_inet6', 'route'].map((name) =>
      readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => ''),
    ),
  );
  const v4 = parseFibTrie(trie).filter((ip) => !isLoopback(ip));
  const found = [
    ...v4.map((ip) => ({ ip, holder: holderByRoute(ip, routes) ?? ifName })),
    ...parseInet6(inet6).map(({ ip, name }) => ({ ip, holder: name })),
  ];
  const own = found.filter(({ holder }) => holder === ifName);
  return (own.length > 0 ? own : found).map(({ ip }) => ip);
}

/**
 * Finds the interface whose subnet contains an IPv4 address. This is needed because the table of IPv4 addresses does not name
 * interfaces.
 * @param routes text of /proc/PID/net/route: lines of interface, destination, gateway, flags, three counters, mask. Addresses
 * are little-endian.
 * @returns undefined when no subnet contains the address, as with single addresses (/32).
 */
export function holderByRoute(ip: string, routes: string): string | undefined {
  const address = ip.split('.').reduceRight((value, byte) => value * 256 + Number(byte), 0);
  const subnets = routes.split('\n').flatMap((line) => {
    const [name = '', destination = '', gateway = '', , , , , mask = ''] = line.trim().split(/\s+/);
    if (gateway !== '00000000' || mask === '00000000' || !/^[0-9A-F]{8}$/.test(mask)) return [];
    const covers = (address & parseInt(mask, 16)) >>> 0 === parseInt(destination, 16);
    return covers ? [{ name, bits: parseInt(mask, 16).toString(2).replaceAll('0', '').length }] : [];
  });
  return subnets.sort((a, b) => b.bits - a.bits)[0]?.name;
}

/** Whether the loopback interface is up. The table contains its address only then. */
export async function isLoopbackUp(pid: number): Promise<boolean> {
  const trie = await readFile(`/proc/${pid}/net/fib_trie`, 'utf8').catch(() => '');
  return parseFibTrie(trie).includes('127.0.0.1');
}

/** Finds local addresses. In the table they are leaves `|-- a.b.c.d` followed by `/32 host LOCAL`. */
export function parseFibTrie(text: string): string[] {
  const found = new Set<string>();
  let leaf = '';
  for (const line of text.split('\n')) {
    leaf = /\|-- (\S+)/.exec(line)?.[1] ?? leaf;
    if (line.includes('/32 host LOCAL') && leaf !== '') found.add(leaf);
  }
  return [...found];
}

/**
 * Parses /proc/PID/net/if_inet6.
 * @param text lines of address, interface index, prefix length, scope, flags, name; scope 00 is global.
 */
export function parseInet6(text: string): { readonly ip: string; readonly name: string }[] {
  return text.split('\n').flatMap((line) => {
    const [address = '', , , scope, , name = ''] = line.trim().split(/\s+/);
    if (scope !== '00' || name === 'lo' || !/^[0-9a-f]{32}$/.test(address)) return [];
    const groups = address.match(/.{4}/g) ?? [];
    return [{ ip: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), name }];
  });
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1';
}

/**
 * Makes a result with which plugins can find a pod's rules when the result of its ADD was never recorded.
 * @param pid a process in the namespace; 0 when there is none.
 */
export async function guessedResult(
  pid: number,
  ifName: string,
  netns: string,
): Promise<CniResult | undefined> {
  const ips = pid === 0 ? [] : await addressesOfProcess(pid, ifName);
  return ips.length === 0 ? undefined : resultOf(ips, ifName, netns);
}
