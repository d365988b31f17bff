// Classifies CRI methods for a replay.

/** Methods that create something on the endpoint. */
export const MAKING: ReadonlySet<string> = new Set(['RunPodSandbox', 'CreateContainer', 'PullImage']);

/** Methods that change a state which polling methods read. */
const CHANGING: ReadonlySet<string> = new Set([
  ...MAKING,
  ...['StartContainer', 'StopContainer', 'RemoveContainer', 'StopPodSandbox', 'RemovePodSandbox'],
  ...['UpdateContainerResources', 'UpdatePodSandboxResources', 'RemoveImage'],
]);

/** Methods that stop or remove a container or a pod. */
const ENDING: ReadonlySet<string> = new Set([
  ...['StopContainer', 'RemoveContainer', 'StopPodSandbox', 'RemovePodSandbox'],
]);

/** Methods that clients call repeatedly to read the current state. */
const POLLED = /^(List\w+|Stream\w+|\w*Status|\w+Stats|Version|RuntimeConfig|ImageFsInfo)$/;

/** Methods whose answer can be about all pods. */
const OF_ALL =
  /^(List|Stream)(PodSandbox|PodSandboxes|Containers|ContainerStats|PodSandboxStats|PodSandboxMetrics)$/;

export const EVENTS = 'GetContainerEvents';

export const isChanging = (method: string): boolean => CHANGING.has(method);
export const isEnding = (method: string): boolean => ENDING.has(method);
export const isPolled = (method: string): boolean => POLLED.test(method);
export const isOfAll = (method: string): boolean => OF_ALL.test(method);

/** Methods that are never replayed, because they change more than the replayed pods. Each has a reason, which the replay reports. */
export const NEVER: ReadonlyMap<string, string> = new Map([
  ['UpdateRuntimeConfig', "it would change the node's pod network"],
  ['CheckpointPod', 'it writes an archive on the node'],
  ['CheckpointContainer', 'it writes an archive on the node'],
  ['RestorePod', 'it needs an archive of another node'],
]);
