import { cri, type Decoded } from './index';

/** The part of a generated message class that we use. */
export interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

export interface MethodCodecs<Request, Response, Streams extends boolean> {
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
  readonly streams: Streams;
}

function unary<Request, Response>(
  request: Codec<Request>,
  response: Codec<Response>,
): MethodCodecs<Request, Response, false> {
  return { request, response, streams: false };
}

/** Describes a method whose server streams its answer. In CRI, clients never stream. */
function stream<Request, Response>(
  request: Codec<Request>,
  response: Codec<Response>,
): MethodCodecs<Request, Response, true> {
  return { request, response, streams: true };
}

export const RUNTIME_CODECS = {
  Version: unary(cri.VersionRequest, cri.VersionResponse),
  RunPodSandbox: unary(cri.RunPodSandboxRequest, cri.RunPodSandboxResponse),
  StopPodSandbox: unary(cri.StopPodSandboxRequest, cri.StopPodSandboxResponse),
  RemovePodSandbox: unary(cri.RemovePodSandboxRequest, cri.RemovePodSandboxResponse),
  PodSandboxStatus: unary(cri.PodSandboxStatusRequest, cri.PodSandboxStatusResponse),
  ListPodSandbox: unary(cri.ListPodSandboxRequest, cri.ListPodSandboxResponse),
  StreamPodSandboxes: stream(cri.StreamPodSandboxesRequest, cri.StreamPodSandboxesResponse),
  CreateContainer: unary(cri.CreateContainerRequest, cri.CreateContainerResponse),
  StartContainer: unary(cri.StartContainerRequest, cri.StartContainerResponse),
  StopContainer: unary(cri.StopContainerRequest, cri.StopContainerResponse),
  RemoveContainer: unary(cri.RemoveContainerRequest, cri.RemoveContainerResponse),
  ListContainers: unary(cri.ListContainersRequest, cri.ListContainersResponse),
  StreamContainers: stream(cri.StreamContainersRequest, cri.StreamContainersResponse),
  ContainerStatus: unary(cri.ContainerStatusRequest, cri.ContainerStatusResponse),
  UpdateContainerResources: unary(cri.UpdateContainerResourcesRequest, cri.UpdateContainerResourcesResponse),
  ReopenContainerLog: unary(cri.ReopenContainerLogRequest, cri.ReopenContainerLogResponse),
  ExecSync: unary(cri.ExecSyncRequest, cri.ExecSyncResponse),
  Exec: unary(cri.ExecRequest, cri.ExecResponse),
  Attach: unary(cri.AttachRequest, cri.AttachResponse),
  PortForward: unary(cri.PortForwardRequest, cri.PortForwardResponse),
  ContainerStats: unary(cri.ContainerStatsRequest, cri.ContainerStatsResponse),
  ListContainerStats: unary(cri.ListContainerStatsRequest, cri.ListContainerStatsResponse),
  StreamContainerStats: stream(cri.StreamContainerStatsRequest, cri.StreamContainerStatsResponse),
  PodSandboxStats: unary(cri.PodSandboxStatsRequest, cri.PodSandboxStatsResponse),
  ListPodSandboxStats: unary(cri.ListPodSandboxStatsRequest, cri.ListPodSandboxStatsResponse),
  StreamPodSandboxStats: stream(cri.StreamPodSandboxStatsRequest, cri.StreamPodSandboxStatsResponse),
  UpdateRuntimeConfig: unary(cri.UpdateRuntimeConfigRequest, cri.UpdateRuntimeConfigResponse),
  Status: unary(cri.StatusRequest, cri.StatusResponse),
  CheckpointContainer: unary(cri.CheckpointContainerRequest, cri.CheckpointContainerResponse),
  CheckpointPod: unary(cri.CheckpointPodRequest, cri.CheckpointPodResponse),
  RestorePod: unary(cri.RestorePodRequest, cri.RestorePodResponse),
  GetContainerEvents: stream(cri.GetEventsRequest, cri.ContainerEventResponse),
  ListMetricDescriptors: unary(cri.ListMetricDescriptorsRequest, cri.ListMetricDescriptorsResponse),
  ListPodSandboxMetrics: unary(cri.ListPodSandboxMetricsRequest, cri.ListPodSandboxMetricsResponse),
  StreamPodSandboxMetrics: stream(cri.StreamPodSandboxMetricsRequest, cri.StreamPodSandboxMetricsResponse),
  RuntimeConfig: unary(cri.RuntimeConfigRequest, cri.RuntimeConfigResponse),
  UpdatePodSandboxResources: unary(
    cri.UpdatePodSandboxResourcesRequest,
    cri.UpdatePodSandboxResourcesResponse,
  ),
};

export const IMAGE_CODECS = {
  ListImages: unary(cri.ListImagesRequest, cri.ListImagesResponse),
  StreamImages: stream(cri.StreamImagesRequest, cri.StreamImagesResponse),
  ImageStatus: unary(cri.ImageStatusRequest, cri.ImageStatusResponse),
  PullImage: unary(cri.PullImageRequest, cri.PullImageResponse),
  RemoveImage: unary(cri.RemoveImageRequest, cri.RemoveImageResponse),
  ImageFsInfo: unary(cri.ImageFsInfoRequest, cri.ImageFsInfoResponse),
};

type MethodOf<Entry> =
  Entry extends MethodCodecs<infer Request, infer Response, infer Streams>
    ? { readonly request: Decoded<Request>; readonly response: Response; readonly streams: Streams }
    : never;

/**
 * Maps the name of a method to `{ request, response, streams }`. The request has its decoded type, and the response has the
 * type that a handler may build.
 */
export type RuntimeMethods = {
  [Name in keyof typeof RUNTIME_CODECS]: MethodOf<(typeof RUNTIME_CODECS)[Name]>;
};
export type ImageMethods = { [Name in keyof typeof IMAGE_CODECS]: MethodOf<(typeof IMAGE_CODECS)[Name]> };
