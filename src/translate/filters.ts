import type { cri, Decoded } from '../proto';
import { ContainerState, PodSandboxState } from '../proto/enums';
import type { ContainerRecord, SandboxRecord, StringMap } from '../store/records';
import { containerState, isListed } from './container-status';
import { sandboxState } from './sandbox-status';
import { oneOf } from './validate';

/** All given labels must be there with exactly these values. */
export function matchesLabels(labels: StringMap, selector: StringMap): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** A predicate for ListPodSandbox: id prefix, state and labels, all ANDed; null lists all. */
export function sandboxFilter(
  filter: Decoded<cri.IPodSandboxFilter> | null,
): (sandbox: SandboxRecord) => boolean {
  if (filter === null) return () => true;
  // State 0 is READY: only the presence of the wrapper says whether to filter (cri-surface.md 3.3).
  const state = filter.state?.state;
  if (state !== undefined) {
    oneOf(state, Object.values(PodSandboxState), 'filter.state.state', 'SANDBOX_READY or SANDBOX_NOTREADY');
  }
  return (sandbox) =>
    sandbox.id.startsWith(filter.id) &&
    (state === undefined || sandboxState(sandbox) === state) &&
    matchesLabels(sandbox.labels, filter.label_selector);
}

/** A predicate for ListContainers: id and sandbox id prefixes, state and labels, all ANDed; null lists all. */
export function containerFilter(
  filter: Decoded<cri.IContainerFilter> | null,
): (container: ContainerRecord) => boolean {
  if (filter === null) return isListed;
  const state = filter.state?.state;
  if (state !== undefined) {
    oneOf(state, Object.values(ContainerState), 'filter.state.state', 'a ContainerState');
  }
  return (container) =>
    isListed(container) &&
    container.id.startsWith(filter.id) &&
    container.sandboxId.startsWith(filter.pod_sandbox_id) &&
    (state === undefined || containerState(container) === state) &&
    matchesLabels(container.labels, filter.label_selector);
}
