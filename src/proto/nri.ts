/**
 * Exports the codecs of the Node Resource Interface and of ttrpc, which carries it (proto/nri). Only src/nri loads them. As in
 * index.ts, `nri.IX` is a message that we build, and `Decoded<nri.IX>` is a message that was received.
 */
import { nri as root, ttrpc } from './gen/nri';
import type { Decoded } from './index';
import type { Codec } from './methods';

export import nri = root.pkg.api.v1alpha1;
export { ttrpc };

export const PLUGIN_SERVICE = 'nri.pkg.api.v1alpha1.Plugin';
export const RUNTIME_SERVICE = 'nri.pkg.api.v1alpha1.Runtime';

export interface NriMethod<Request, Response> {
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

function method<Request, Response>(
  request: Codec<Request>,
  response: Codec<Response>,
): NriMethod<Request, Response> {
  return { request, response };
}

/** The methods that a plugin serves. */
export const PLUGIN_METHODS = {
  Configure: method(nri.ConfigureRequest, nri.ConfigureResponse),
  Synchronize: method(nri.SynchronizeRequest, nri.SynchronizeResponse),
  Shutdown: method(nri.Empty, nri.Empty),
  RunPodSandbox: method(nri.RunPodSandboxRequest, nri.RunPodSandboxResponse),
  UpdatePodSandbox: method(nri.UpdatePodSandboxRequest, nri.UpdatePodSandboxResponse),
  PostUpdatePodSandbox: method(nri.PostUpdatePodSandboxRequest, nri.PostUpdatePodSandboxResponse),
  StopPodSandbox: method(nri.StopPodSandboxRequest, nri.StopPodSandboxResponse),
  RemovePodSandbox: method(nri.RemovePodSandboxRequest, nri.RemovePodSandboxResponse),
  CreateContainer: method(nri.CreateContainerRequest, nri.CreateContainerResponse),
  PostCreateContainer: method(nri.PostCreateContainerRequest, nri.PostCreateContainerResponse),
  StartContainer: method(nri.StartContainerRequest, nri.StartContainerResponse),
  PostStartContainer: method(nri.PostStartContainerRequest, nri.PostStartContainerResponse),
  UpdateContainer: method(nri.UpdateContainerRequest, nri.UpdateContainerResponse),
  PostUpdateContainer: method(nri.PostUpdateContainerRequest, nri.PostUpdateContainerResponse),
  StopContainer: method(nri.StopContainerRequest, nri.StopContainerResponse),
  RemoveContainer: method(nri.RemoveContainerRequest, nri.RemoveContainerResponse),
  StateChange: method(nri.StateChangeEvent, nri.Empty),
  ValidateContainerAdjustment: method(
    nri.ValidateContainerAdjustmentRequest,
    nri.ValidateContainerAdjustmentResponse,
  ),
};

/** The methods that the runtime serves. */
export const RUNTIME_METHODS = {
  RegisterPlugin: method(nri.RegisterPluginRequest, nri.Empty),
  UpdateContainers: method(nri.UpdateContainersRequest, nri.UpdateContainersResponse),
};

export type PluginMethod = keyof typeof PLUGIN_METHODS;
/** The request of a plugin's method, as we build it. */
export type PluginRequest<Name extends PluginMethod> =
  (typeof PLUGIN_METHODS)[Name] extends NriMethod<infer Request, unknown> ? Request : never;
/** The answer of a plugin, as it was received. */
export type PluginAnswer<Name extends PluginMethod> =
  (typeof PLUGIN_METHODS)[Name] extends NriMethod<never, infer Response> ? Decoded<Response> : never;
