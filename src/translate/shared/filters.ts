import { isListed } from '../../store/states';
import type { cri, Decoded } from '../../proto';
import { ContainerState, PodSandboxState } from '../../proto/enums';
import type { ContainerRecord, SandboxRecord, StringMap } from '../../store/records';
import { containerState } from '../container/container-status';
import { sandboxState } from '../sandbox/sandbox-status';
import { oneOf } from './validate';

/** Whether all labels of the selector are present with exactly these values. */
export function matchesLabels(labels: StringMap, selector: StringMap): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/**
 * Returns a predicate for ListPodSandbox. It requires id prefix, state and labels together; null accepts all sandboxes.
 */
export function sandboxFilter(
  filter: Decoded<cri.IPodSandboxFilter> | null,
): (sandbox: SandboxRecord) => boolean {
  if (filter === null) return () => true;
  // State 0 is READY, so only the presence of the wrapper shows whether to filter by state.
  const state = filter.state?.state;
  if (state !== undefined) {
    oneOf(state, Object.values(PodSandboxState), 'filter.state.state', 'SANDBOX_READY or SANDBOX_NOTREADY');
  }
  return (sandbox) =>
    sandbox.id.startsWith(filter.id) &&
    (state === undefined || sandboxState(sandbox) === state) &&
    matchesLabels(sandbox.labels, filter.label_selector);
}

/**
 * Returns a predicate for ListContainers. It requires the prefixes of id and sandbox id, state and labels together; null
 * accepts all listed containers.
 */
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

/**
 * Returns a predicate for ListContainerStats. It accepts running containers, and requires the prefixes of id and sandbox
 * id and the labels together.
 */
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

/**
 * Returns a predicate for ListPodSandboxStats. It accepts ready sandboxes, and requires id prefix and labels together.
 */
export function sandboxStatsFilter(
  filter: Decoded<cri.IPodSandboxStatsFilter> | null,
): (sandbox: SandboxRecord) => boolean {
  return (sandbox) =>
    sandboxState(sandbox) === PodSandboxState.SANDBOX_READY &&
    (filter === null ||
      (sandbox.id.startsWith(filter.id) && matchesLabels(sandbox.labels, filter.label_selector)));
}
