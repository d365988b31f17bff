import { isListed } from '../../store/states';
import type { cri, Decoded } from '../../proto';
import { ContainerState, PodSandboxState } from '../../proto/enums';
import type { ContainerRecord, SandboxRecord, StringMap } from '../../store/records';
import { containerState } from '../container/container-status';
import { sandboxState } from '../sandbox/sandbox-status';
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
  // State 0 is READY, so only the presence of the wrapper tells whether to filter.
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

/** A predicate for ListContainerStats: running containers by id and sandbox id prefixes and labels, all ANDed. */
export function containerStatsFilter(
  filter: Decoded<cri.IContainerStatsFilter> | null,
): (container: ContainerRecord) => boolean {
  return (container) =>
    containerState(container) === ContainerState.CONTAINER_RUNNING &&
    (filter === null ||
      (container.id.startsWith(filter.id) &&
        container.sandboxId.startsWith(filter.pod_sandbox_id) &&
        matchesLabels(container.labels, filter.label_selector)));
}

/** A predicate for ListPodSandboxStats: ready sandboxes by id prefix and labels. */
export function sandboxStatsFilter(
  filter: Decoded<cri.IPodSandboxStatsFilter> | null,
): (sandbox: SandboxRecord) => boolean {
  return (sandbox) =>
    sandboxState(sandbox) === PodSandboxState.SANDBOX_READY &&
    (filter === null ||
      (sandbox.id.startsWith(filter.id) && matchesLabels(sandbox.labels, filter.label_selector)));
}
