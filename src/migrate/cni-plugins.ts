import { dirname, extname } from 'node:path';
import { messageOf } from '../lib/errors';
import { isObject, text } from '../lib/json';
import { parseNetworkList, parseSinglePlugin, type NetworkConfig } from '../network/cni/network-config';
import { bridgeOption } from './bridge';
import type { NodeFacts } from './facts';

const CNI_CONF_DIR = '/etc/cni/net.d';
/** Where plugins are looked for: the place of most installers, and those of distributions. */
export const CNI_BIN_DIRS = ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'];

export interface Network {
  readonly path: string;
  readonly config: NetworkConfig;
}

type NetworkFacts = Pick<NodeFacts, 'files' | 'processes' | 'bridgeOptions'>;

/** Returns the directory in which the present runtime looks for networks, and the target after it. */
export function cniConfDir(facts: NetworkFacts): string {
  return bridgeOption(facts, 'cni-conf-dir').value.replace(/\/+$/, '') || CNI_CONF_DIR;
}

/** Chooses the network as runtimes do: the first valid file in lexical order. */
export function findNetwork(facts: NetworkFacts): {
  readonly found: Network | undefined;
  /** The invalid files before it. */
  readonly broken: readonly { readonly where: string; readonly what: string }[];
} {
  const broken: { where: string; what: string }[] = [];
  for (const path of Object.keys(facts.files).sort()) {
    if (dirname(path) !== cniConfDir(facts)) continue;
    const json = facts.files[path]?.text ?? '';
    try {
      const config = extname(path) === '.conflist' ? parseNetworkList(json) : parseSinglePlugin(json);
      return { found: { path, config }, broken };
    } catch (error) {
      broken.push({ where: path, what: messageOf(error) });
    }
  }
  return { found: undefined, broken };
}

/** containerd sets up the loopback interface with this plugin, whatever the configuration names. */
const LOOPBACK = 'loopback';

/** Returns the programs that the network needs. */
export function neededPlugins({ plugins }: NetworkConfig): string[] {
  return [...new Set([LOOPBACK, ...plugins.flatMap(({ type, body }) => [type, ...ipamOf(body)])])];
}

function ipamOf({ ipam }: NetworkConfig['plugins'][number]['body']): string[] {
  return isObject(ipam) && text(ipam.type) !== '' ? [text(ipam.type)] : [];
}

/**
 * Returns the plugins that a directory lacks and that another one has, by directory. Only directories with a listing have an
 * entry.
 */
export function missingPlugins(
  facts: NetworkFacts & Pick<NodeFacts, 'directories'>,
  binDirs: readonly string[],
): Readonly<Record<string, readonly string[]>> {
  const { found } = findNetwork(facts);
  const listings = binDirs.flatMap((directory) => {
    const names = facts.directories[directory];
    return names === undefined ? [] : [[directory, names] as const];
  });
  const needed = (found === undefined ? [LOOPBACK] : neededPlugins(found.config)).filter((plugin) =>
    listings.some(([, names]) => names.includes(plugin)),
  );
  return Object.fromEntries(
    listings.map(([directory, names]) => [directory, needed.filter((plugin) => !names.includes(plugin))]),
  );
}
