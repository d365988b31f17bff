import { join } from 'node:path';
import { parse } from 'smol-toml';
import { text, type JsonObject } from '../lib/json';
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
  return target === 'containerd'
    ? containerdRoot(parent, facts.files[containerdConfigPath(facts)]?.text)
    : crioRoot(parent);
}

/** Returns the places of all targets. */
export function targetRoots(facts: RootFacts): string[] {
  return TARGETS.map((target) => targetRoot(target, facts));
}

/**
 * Returns containerd's root.
 * @param mainConfig its configuration, whose `root` stays. One that is no TOML counts as none.
 */
export function containerdRoot(parent: string, mainConfig = ''): string {
  return rootIn(mainConfig) ?? join(parent || '/var/lib', 'containerd');
}

function rootIn(config: string): string | undefined {
  try {
    const { root } = parse(config);
    return typeof root === 'string' && root !== '' ? root : undefined;
  } catch {
    return undefined;
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
