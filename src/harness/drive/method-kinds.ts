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

/** Methods whose answer can be about all pods. */
const OF_ALL =
  /^(List|Stream)(PodSandbox|PodSandboxes|Containers|ContainerStats|PodSandboxStats|PodSandboxMetrics)$/;

/** Methods that change which images the endpoint has. */
const IMAGE_CHANGES: ReadonlySet<string> = new Set(['PullImage', 'RemoveImage']);
/** Methods that read images. */
const IMAGE_POLLS: ReadonlySet<string> = new Set([
  'ListImages',
  'StreamImages',
  'ImageStatus',
  'ImageFsInfo',
]);

export const isChanging = (method: string): boolean => CHANGING.has(method);
export const isEnding = (method: string): boolean => ENDING.has(method);
export const isImageChange = (method: string): boolean => IMAGE_CHANGES.has(method);
export const isImagePoll = (method: string): boolean => IMAGE_POLLS.has(method);
/** All pods share the images, so calls about images are about all pods as well, unless they are made for one pod. */
export const isOfAll = (method: string): boolean =>
  OF_ALL.test(method) || isImagePoll(method) || isImageChange(method);

/** Methods that are never replayed, because they change more than the replayed pods. Each has a reason, which the replay reports. */
export const NEVER: ReadonlyMap<string, string> = new Map([
  ['UpdateRuntimeConfig', "it would change the node's pod network"],
  ['CheckpointPod', 'it writes an archive on the node'],
  ['CheckpointContainer', 'it writes an archive on the node'],
  ['RestorePod', 'it needs an archive of another node'],
]);
