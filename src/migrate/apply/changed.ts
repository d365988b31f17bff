import { readFiles } from '../gather/configuration-files';
import { NodeRoot } from '../gather/node-root';
import type { StepState } from './journal';
import type { PlanOnDisk } from './read-plan';

/** A file that is not as the plan expects it. */
export interface Change {
  readonly path: string;
  readonly what: 'has changed' | 'is gone' | 'is new';
}

/** What the comparison needs to know of the journal. */
export interface Progress {
  stateOf(step: string): StepState;
  wasBegun(step: string): boolean;
}

/** The pods of the cluster's network write their configuration when they start, and some remove it when they end. */
const CNI = '/etc/cni/net.d/';
const PACKAGES = ['/usr/', '/lib/'];

/** Returns the SHA-256 of the files that the inventory would read now, and of those that the plan writes, by path. */
export async function presentFiles({
  inventory,
  files,
}: Pick<PlanOnDisk, 'inventory' | 'files'>): Promise<ReadonlyMap<string, string>> {
  const paths = [...Object.keys(inventory), ...files.map(({ path }) => path)];
  const found = await readFiles(new NodeRoot('/'), paths);
  return new Map(Object.entries(found).map(([path, { sha256 }]) => [path, sha256]));
}

/**
 * Compares the node with the inventory of the plan. What the plan's own steps have done is no change.
 * @param present SHA-256 by path.
 */
export function changesOf(
  plan: Pick<PlanOnDisk, 'inventory' | 'files' | 'steps'>,
  progress: Progress,
  present: ReadonlyMap<string, string>,
): Change[] {
  const hasBegun = plan.steps.some(({ id }) => progress.wasBegun(id));
  const wasInstalled = progress.wasBegun('install');
  const isOthers = (path: string): boolean =>
    (wasInstalled && PACKAGES.some((start) => path.startsWith(start))) ||
    (progress.wasBegun('remove-pods') && path.startsWith(CNI));
  // A step without commands leaves its files to a person.
  const byHand = new Set(plan.steps.filter(({ commands }) => commands.length === 0).map(({ id }) => id));
  const planned = new Map(
    plan.files.filter(({ step }) => !byHand.has(step)).map((file) => [file.path, file]),
  );
  const known = new Set([...Object.keys(plan.inventory), ...planned.keys()]);
  const changes = [...known].flatMap((path): Change[] => {
    const file = planned.get(path);
    const before = plan.inventory[path] ?? file?.sha256Before ?? undefined;
    const found = present.get(path);
    const state = file === undefined ? 'open' : progress.stateOf(file.step);
    // A step that was interrupted may have written a part of the file.
    if (isOthers(path) || state === 'begun' || state === 'undoing') return [];
    if (found === undefined)
      return before === undefined && state !== 'done' ? [] : [{ path, what: 'is gone' }];
    if (found === file?.sha256After || (found === before && state !== 'done')) return [];
    if (before !== undefined) return [{ path, what: 'has changed' }];
    // The package of the target may bring a file of this name.
    return wasInstalled && state !== 'done'
      ? []
      : [{ path, what: state === 'done' ? 'has changed' : 'is new' }];
  });
  const added = hasBegun ? [] : [...present.keys()].filter((path) => !known.has(path));
  return [...changes, ...added.map((path): Change => ({ path, what: 'is new' }))];
}
