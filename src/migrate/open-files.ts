import { isObject } from '../lib/json';
import { engineContainerd } from './engine-containerd';
import { mergedSettings } from './engine-settings';
import type { NodeFacts, OpenFiles } from './facts';
import { podContainers } from './inventory/pods';

/** systemd's default, which a service of containerd 2 has, because containerd no longer sets a limit. */
export const SOFT_DEFAULT = 1_024;

/** Where the limit of open files of the node's containers shows. */
export interface ContainerLimits {
  readonly limits: OpenFiles;
  /** The files of the unit that sets the limit; empty when running containers show it. */
  readonly units: readonly string[];
}

/**
 * Returns the limit of open files with which containers start. A program may raise its soft limit, as each program in Go does, so the
 * container with the lowest one shows it best; the process of a sandbox never changes its limits. Without a running container, the
 * unit of the daemon that starts the shims tells. Returns undefined when nothing tells.
 */
export function containerLimits(
  facts: Pick<NodeFacts, 'engine' | 'directories' | 'files'>,
): ContainerLimits | undefined {
  // The plan translates this setting.
  const ulimits = mergedSettings(facts)['default-ulimits'];
  if (isObject(ulimits) && ulimits.nofile !== undefined) return undefined;
  const [lowest] = podContainers(facts)
    .flatMap(({ container: { OpenFiles: limits } }) => (limits === undefined ? [] : [limits]))
    .sort((a, b) => numberOf(a.soft) - numberOf(b.soft));
  if (lowest !== undefined) return { limits: lowest, units: [] };
  const unit = engineContainerd(facts).isShared ? 'containerd' : 'docker';
  const units = unitFiles(facts, unit);
  const value = units
    .flatMap((path) => [...(facts.files[path]?.text ?? '').matchAll(/^\s*LimitNOFILE\s*=\s*(\S+)/gm)])
    .map(([, given = '']) => given)
    .at(-1);
  if (value === undefined) return undefined;
  const [soft = '', hard = soft] = value.split(':').map((one) => (one === 'infinity' ? 'unlimited' : one));
  return { limits: { soft, hard }, units };
}

/** Compares limits. */
export function numberOf(limit: string): number {
  return limit === 'unlimited' ? Infinity : Number(limit);
}

/** Returns the unit, then its drop-ins, in the order in which systemd reads them. */
function unitFiles({ files }: Pick<NodeFacts, 'files'>, unit: string): string[] {
  const name = new RegExp(`/systemd/system/${unit}\\.service(\\.d/([^/]+))?$`);
  const found = Object.keys(files).flatMap((path) => {
    const match = name.exec(path);
    return match === null ? [] : [{ path, dropIn: match[2] ?? '' }];
  });
  // A file in /etc hides one of the same name in /usr.
  return found
    .sort((a, b) => (a.dropIn === b.dropIn ? order(b.path, a.path) : order(a.dropIn, b.dropIn)))
    .map(({ path }) => path);
}

function order(a: string, b: string): number {
  return a < b ? -1 : 1;
}
