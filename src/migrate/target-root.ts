import { join } from 'node:path';
import { parse } from 'smol-toml';
import { text, type JsonObject } from '../lib/json';
import { importedPaths } from './containerd-imports';
import { dataParent } from './data-place';
import { containerdConfigPath, engineContainerd } from './engine-containerd';
import { mergedSettings } from './engine-settings';
import type { DiskFacts, NodeFacts } from './facts';
import { TARGETS, type NodeState, type Target } from './mapping/row';

type RootFacts = Pick<NodeFacts, 'engine' | 'directories' | 'files' | 'processes' | 'host'>;

/** Returns the Engine's data-root as its settings name it, before links and user namespaces; '' for its default. */
export function dataRootOf(merged: JsonObject): string {
  return text(merged['data-root']) || text(merged.graph);
}

/**
 * Returns the directory below which the target's data goes; '' for the target's default. A containerd that the Engine uses keeps
 * its place.
 */
export function targetParent(
  merged: JsonObject,
  isContainerdShared: boolean,
  disks: readonly DiskFacts[],
): string {
  return isContainerdShared ? '' : dataParent(dataRootOf(merged), disks);
}

/** Returns the directory of the target's images and containers after the migration. */
export function targetRoot(target: Target, facts: RootFacts): string {
  const isShared = target === 'containerd' && engineContainerd(facts).isShared;
  const parent = targetParent(mergedSettings(facts), isShared, facts.host.disks);
  if (target === 'cri-o') return crioRoot(parent);
  const given = givenRoot(containerdConfigPath(facts), facts);
  return given === '' ? join(parent || '/var/lib', 'containerd') : given;
}

/** Returns the places of all targets. */
export function targetRoots(facts: RootFacts): string[] {
  return TARGETS.map((target) => targetRoot(target, facts));
}

/** Returns the `root` of containerd's configuration, which stays; '' for none. A file that is no TOML counts as empty. */
function givenRoot(mainPath: string, { files }: RootFacts): string {
  const main = parsed(files[mainPath]?.text);
  const imported = importedPaths(mainPath, main, Object.keys(files)).map((path) => parsed(files[path]?.text));
  return [main, ...imported].map(({ root }) => text(root)).findLast((root) => root !== '') ?? '';
}

function parsed(toml = ''): JsonObject {
  try {
    return parse(toml);
  } catch {
    return {};
  }
}

/** Returns CRI-O's root. */
export function crioRoot(parent: string): string {
  return join(parent || '/var/lib', 'containers/storage');
}

/** Returns what the outcomes of settings depend on. */
export function nodeState(facts: RootFacts): NodeState {
  return {
    isContainerdShared: engineContainerd(facts).isShared,
    containerdRoot: targetRoot('containerd', facts),
  };
}
