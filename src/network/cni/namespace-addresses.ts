import { readFile } from 'node:fs/promises';

/**
 * Addresses in the network namespace of a process, as the kernel tells without our entering it: for pods whose CNI
 * result is lost. IPv4 first; loopback and link-local ones are left out.
 */
export async function addressesOfProcess(pid: number): Promise<string[]> {
  const [trie, inet6] = await Promise.all(
    ['fib_trie', 'if_inet6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  );
  return [...parseFibTrie(trie ?? ''), ...parseInet6(inet6 ?? '')].filter((ip) => !isLoopback(ip));
}

/** Whether the loopback interface is up: a local address is in the table only then. */
export async function isLoopbackUp(pid: number): Promise<boolean> {
  const trie = await readFile(`/proc/${pid}/net/fib_trie`, 'utf8').catch(() => '');
  return parseFibTrie(trie).includes('127.0.0.1');
}

/** Local addresses: a leaf `|-- a.b.c.d` followed by `/32 host LOCAL`. */
export function parseFibTrie(text: string): string[] {
  const found = new Set<string>();
  let leaf = '';
  for (const line of text.split('\n')) {
    leaf = /\|-- (\S+)/.exec(line)?.[1] ?? leaf;
    if (line.includes('/32 host LOCAL') && leaf !== '') found.add(leaf);
  }
  return [...found];
}

/** Lines of address, interface index, prefix length, scope, flags, name: scope 00 is global. */
export function parseInet6(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [address = '', , , scope, , name] = line.trim().split(/\s+/);
    if (scope !== '00' || name === 'lo' || !/^[0-9a-f]{32}$/.test(address)) return [];
    const groups = address.match(/.{4}/g) ?? [];
    return [new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)];
  });
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1';
}
