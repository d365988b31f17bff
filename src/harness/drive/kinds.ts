/** What a method is to somebody who makes its calls again. */

/** Its success leaves something on the endpoint that was not there before. */
export const MAKING: ReadonlySet<string> = new Set(['RunPodSandbox', 'CreateContainer', 'PullImage']);

/** It changes the state that the methods below read. */
const CHANGING: ReadonlySet<string> = new Set([
  ...MAKING,
  ...['StartContainer', 'StopContainer', 'RemoveContainer', 'StopPodSandbox', 'RemovePodSandbox'],
  ...['UpdateContainerResources', 'UpdatePodSandboxResources', 'RemoveImage'],
]);

/** It ends what it is about, or a part of it. */
const ENDING: ReadonlySet<string> = new Set([
  ...['StopContainer', 'RemoveContainer', 'StopPodSandbox', 'RemovePodSandbox'],
]);

/** Clients call it again and again to see how things stand. */
const POLLED = /^(List\w+|Stream\w+|\w*Status|\w+Stats|Version|RuntimeConfig|ImageFsInfo)$/;

/** Its answer may tell of all pods. */
const OF_ALL =
  /^(List|Stream)(PodSandbox|PodSandboxes|Containers|ContainerStats|PodSandboxStats|PodSandboxMetrics)$/;

export const EVENTS = 'GetContainerEvents';

export const isChanging = (method: string): boolean => CHANGING.has(method);
export const isEnding = (method: string): boolean => ENDING.has(method);
export const isPolled = (method: string): boolean => POLLED.test(method);
export const isOfAll = (method: string): boolean => OF_ALL.test(method);

/** Calls that would change the node for others, and why they are not made. */
export const NEVER: ReadonlyMap<string, string> = new Map([
  ['UpdateRuntimeConfig', "it would change the node's pod network"],
  ['CheckpointPod', 'it writes an archive on the node'],
  ['CheckpointContainer', 'it writes an archive on the node'],
  ['RestorePod', 'it needs an archive of another node'],
]);
