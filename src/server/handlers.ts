import { RuntimeError } from '../lib/errors';
import type { ImageMethods, RuntimeMethods } from '../proto/service';
import type { Messages } from './call';
import { imageFsInfo } from './image/image-fs-info';
import { imageStatus } from './image/image-status';
import { listImages, streamImages } from './image/list-images';
import { pullImage } from './image/pull-image';
import { removeImage } from './image/remove-image';
import { attach } from './runtime/attach';
import { checkpointContainer } from './runtime/checkpoint-container';
import { containerStats } from './runtime/container-stats';
import { containerStatus } from './runtime/container-status';
import { createContainer } from './runtime/create-container';
import { exec } from './runtime/exec';
import { execSync } from './runtime/exec-sync';
import { getContainerEvents } from './runtime/get-container-events';
import { listContainerStats, streamContainerStats } from './runtime/list-container-stats';
import { listContainers, streamContainers } from './runtime/list-containers';
import { listMetricDescriptors } from './runtime/list-metric-descriptors';
import { listPodSandbox, streamPodSandboxes } from './runtime/list-pod-sandbox';
import { listPodSandboxMetrics, streamPodSandboxMetrics } from './runtime/list-pod-sandbox-metrics';
import { listPodSandboxStats, streamPodSandboxStats } from './runtime/list-pod-sandbox-stats';
import { podSandboxStats } from './runtime/pod-sandbox-stats';
import { podSandboxStatus } from './runtime/pod-sandbox-status';
import { portForward } from './runtime/port-forward';
import { removeContainer } from './runtime/remove-container';
import { removePodSandbox } from './runtime/remove-pod-sandbox';
import { reopenContainerLog } from './runtime/reopen-container-log';
import { runPodSandbox } from './runtime/run-pod-sandbox';
import { runtimeConfig } from './runtime/runtime-config';
import { startContainer } from './runtime/start-container';
import { status } from './runtime/status';
import { stopContainer } from './runtime/stop-container';
import { stopPodSandbox } from './runtime/stop-pod-sandbox';
import { updateContainerResources } from './runtime/update-container-resources';
import { updatePodSandboxResources } from './runtime/update-pod-sandbox-resources';
import { updateRuntimeConfig } from './runtime/update-runtime-config';
import { version } from './runtime/version';
import type { CallContext, Services } from './services';

interface Method {
  request: unknown;
  response: unknown;
  streams: boolean;
}

/**
 * How a method is served. `kind` decides what a call waits for; a call that waits too long is answered UNAVAILABLE.
 * - `always`: waits for nothing, even if the Engine has never answered.
 * - `answer`: the Engine's first list of containers.
 * - `pods`, `containers`: the same list, and inspects of those pods or containers about which the list reports too little.
 * - `one`: the same list, and inspects of the one pod or container that the request names.
 * - `read`: the first inspects of all containers, which fill the store.
 * - `images`: these inspects and the first list of images.
 * - `write`: a connected Engine.
 * - `make`: a connected Engine that has also answered /info.
 *
 * Reads wait because an empty list would tell kubelet that its pods are gone.
 */
export interface Route<Request, Response> {
  readonly kind: 'always' | 'answer' | 'pods' | 'containers' | 'one' | 'read' | 'images' | 'write' | 'make';
  /** Whether the method changes something: in the Engine, a log, a pod, or the store. */
  readonly acts: boolean;
  readonly handler: (services: Services, request: Request, context: CallContext) => Promise<Response>;
}

/** All unary methods of a service. The code does not compile if a method is missing. */
export type Routes<Methods extends Record<keyof Methods, Method>> = {
  readonly [Name in keyof Methods as Methods[Name]['streams'] extends false ? Name : never]: Route<
    Methods[Name]['request'],
    Methods[Name]['response']
  >;
};

/** A streaming method. No streaming method changes anything. */
export interface StreamRoute<Request, Response> {
  readonly kind: 'pods' | 'containers' | 'read' | 'images';
  readonly handler: (services: Services, request: Request, context: CallContext) => Messages<Response>;
}

/** All streaming methods of a service. The code does not compile if a method is missing. */
export type StreamRoutes<Methods extends Record<keyof Methods, Method>> = {
  readonly [Name in keyof Methods as Methods[Name]['streams'] extends true ? Name : never]: StreamRoute<
    Methods[Name]['request'],
    Methods[Name]['response']
  >;
};

type Handler<Request, Response> = Route<Request, Response>['handler'];

const route =
  (kind: Route<unknown, unknown>['kind'], acts: boolean) =>
  <Request, Response>(handler: Handler<Request, Response>): Route<Request, Response> => ({
    kind,
    acts,
    handler,
  });
const always = route('always', false);
const answer = route('answer', false);
const pods = route('pods', false);
const containers = route('containers', false);
const one = route('one', false);
const read = route('read', false);
const images = route('images', false);
const write = route('write', true);
const make = route('make', true);
/** Changes something, but nothing in the Engine. */
const act = route('read', true);
/** Answers UNIMPLEMENTED. kubelet then uses another way or does without the method, as with older runtimes. */
const unimplemented = (why: string): Route<unknown, never> =>
  always(() => Promise.reject(new RuntimeError('UNIMPLEMENTED', why)));

export const RUNTIME_ROUTES: Routes<RuntimeMethods> = {
  Version: answer(version),
  Status: always(status),
  RuntimeConfig: read(runtimeConfig),
  UpdateRuntimeConfig: route('always', true)(updateRuntimeConfig),
  RunPodSandbox: make(runPodSandbox),
  StopPodSandbox: write(stopPodSandbox),
  RemovePodSandbox: write(removePodSandbox),
  PodSandboxStatus: one(podSandboxStatus),
  ListPodSandbox: pods(listPodSandbox),
  CreateContainer: make(createContainer),
  StartContainer: write(startContainer),
  StopContainer: write(stopContainer),
  RemoveContainer: write(removeContainer),
  ListContainers: containers(listContainers),
  ContainerStatus: one(containerStatus),
  ExecSync: write(execSync),
  Exec: write(exec),
  Attach: write(attach),
  PortForward: act(portForward),
  ReopenContainerLog: act(reopenContainerLog),
  UpdateContainerResources: write(updateContainerResources),
  UpdatePodSandboxResources: act(updatePodSandboxResources),
  ContainerStats: read(containerStats),
  ListContainerStats: read(listContainerStats),
  PodSandboxStats: read(podSandboxStats),
  ListPodSandboxStats: read(listPodSandboxStats),
  ListMetricDescriptors: always(listMetricDescriptors),
  ListPodSandboxMetrics: read(listPodSandboxMetrics),
  CheckpointContainer: make(checkpointContainer),
  CheckpointPod: unimplemented('Docker Engine cannot checkpoint a pod as a whole'),
  RestorePod: unimplemented('Docker Engine cannot restore a pod as a whole'),
};

export const RUNTIME_STREAMS: StreamRoutes<RuntimeMethods> = {
  GetContainerEvents: { kind: 'read', handler: getContainerEvents },
  StreamPodSandboxes: { kind: 'pods', handler: streamPodSandboxes },
  StreamContainers: { kind: 'containers', handler: streamContainers },
  StreamContainerStats: { kind: 'read', handler: streamContainerStats },
  StreamPodSandboxStats: { kind: 'read', handler: streamPodSandboxStats },
  StreamPodSandboxMetrics: { kind: 'read', handler: streamPodSandboxMetrics },
};

export const IMAGE_ROUTES: Routes<ImageMethods> = {
  ListImages: images(listImages),
  ImageStatus: images(imageStatus),
  PullImage: make(pullImage),
  RemoveImage: write(removeImage),
  ImageFsInfo: read(imageFsInfo),
};

export const IMAGE_STREAMS: StreamRoutes<ImageMethods> = {
  StreamImages: { kind: 'images', handler: streamImages },
};
