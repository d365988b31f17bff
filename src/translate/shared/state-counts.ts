import { ContainerState } from '../../proto/enums';
import type { ContainerRecord, SandboxRecord } from '../../store/records';
import { containerState } from '../container/container-status';
import { isReady } from '../../store/states';

/** How many sandboxes and containers there are in each state. States that none is in are there too, with 0. */
export interface StateCounts {
  readonly sandboxes: { readonly ready: number; readonly notready: number };
  /** By CRI's names in small letters: created, running, exited, unknown. */
  readonly containers: Readonly<Record<string, number>>;
}

const NAMES = new Map(
  Object.entries(ContainerState).map(([name, state]) => [
    state,
    name.replace(/^CONTAINER_/, '').toLowerCase(),
  ]),
);

export function countStates(store: {
  readonly sandboxes: { values(): Iterable<SandboxRecord> };
  readonly containers: { values(): Iterable<ContainerRecord> };
}): StateCounts {
  const sandboxes = [...store.sandboxes.values()];
  const ready = sandboxes.filter(isReady).length;
  const containers = Object.fromEntries([...NAMES.values()].map((name) => [name, 0]));
  for (const container of store.containers.values()) {
    const name = NAMES.get(containerState(container)) ?? 'unknown';
    containers[name] = (containers[name] ?? 0) + 1;
  }
  return { sandboxes: { ready, notready: sandboxes.length - ready }, containers };
}
