import { flagOf } from '../lib/flags';
import { parseObject, text } from '../lib/json';
import type { NodeFacts } from './facts';
import { isContainerdStore } from './inventory/engine-store';
import { daemonJsonOf } from './engine-settings';

/** The containerd of the node, which becomes the target. */
export const NODE_CONTAINERD = '/run/containerd/containerd.sock';
const OWN_CONTAINERD = '/run/docker/containerd';

/** The containerd on which the Engine runs. */
export interface EngineContainerd {
  /** The path of its socket; '' when nothing tells it. */
  readonly path: string;
  /** Whether it is the node's. A restart of the wrong one stops containers, so that an unknown one counts as the node's. */
  readonly isShared: boolean;
}

/**
 * Returns the containerd of the Engine. dockerd without an address takes the node's containerd if there is one, and starts one of its
 * own otherwise. In both cases dockerd keeps files in /run/docker/containerd: only a socket there shows one of its own.
 */
export function engineContainerd(
  facts: Pick<NodeFacts, 'engine' | 'directories' | 'files'>,
): EngineContainerd {
  const { engine, directories, files } = facts;
  const daemon = parseObject(files[daemonJsonOf(facts)]?.text ?? '');
  const told =
    [
      engine?.info.Containerd?.Address,
      flagOf(engine?.dockerdArguments ?? [], 'containerd'),
      text(daemon?.containerd),
    ].find((address) => address !== undefined && address !== '') ?? '';
  const hasOwn = directories[OWN_CONTAINERD]?.includes('containerd.sock') === true;
  const path = plain(told === '' && hasOwn ? `${OWN_CONTAINERD}/containerd.sock` : told);
  return { path, isShared: path === '' || path === NODE_CONTAINERD };
}

function plain(address: string): string {
  return address.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/');
}

const CONFIG = '/etc/containerd/config.toml';

/** Returns the configuration of the node's containerd: that of its process, of its unit, or the usual one. */
export function containerdConfigPath({ processes, files }: Pick<NodeFacts, 'processes' | 'files'>): string {
  const own = `${OWN_CONTAINERD}/`;
  const running = (processes?.programs ?? []).filter(({ name }) => name === 'containerd');
  const started = Object.entries(files)
    .filter(([path]) => /\/systemd\/system\/containerd\.service(\.d\/[^/]+\.conf)?$/.test(path))
    .flatMap(([, { text: unit }]) => [...unit.matchAll(/^\s*ExecStart\s*=\s*(\S.*)$/gm)])
    .map(([, command = '']) => command.split(/\s+/));
  const named = [...running.map(({ args }) => args), ...started]
    .map((args) => flagOf(args, 'config') ?? flagOf(args, 'c') ?? '')
    // dockerd starts its own containerd with a file there.
    .filter((path) => path.startsWith('/') && !plain(path).startsWith(own));
  return named[0] ?? CONFIG;
}

/** The Engine's default, and that of its plugins. */
const NAMESPACES = { Containers: 'moby', Plugins: 'plugins.moby' };

/** Returns the namespaces of the node's containerd in which the Engine keeps its images; none when the Engine has a store of its own. */
export function engineNamespaces(facts: Parameters<typeof engineContainerd>[0]): string[] {
  const { engine } = facts;
  if (engine === undefined || !isContainerdStore(engine.info) || !engineContainerd(facts).isShared) return [];
  const { Containers, Plugins } = { ...NAMESPACES, ...engine.info.Containerd?.Namespaces };
  return [Containers, Plugins];
}
