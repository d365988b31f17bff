/**
 * Exports the codecs of containerd's own API (proto/containerd). Only `dockbridge migrate images` loads them.
 */
import { containerd } from './gen/containerd';
import type { Codec } from './methods';

export import content = containerd.services.content.v1;
export import images = containerd.services.images.v1;
export import introspection = containerd.services.introspection.v1;
export import leases = containerd.services.leases.v1;
export import version = containerd.services.version.v1;

export interface ContainerdMethod<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

function method<Request, Response>(
  name: string,
  request: Codec<Request>,
  response: Codec<Response>,
): ContainerdMethod<Request, Response> {
  return { path: `/containerd.services.${name}`, request, response };
}

/** The methods of containerd that answer a request with one response. */
export const CONTAINERD_CALLS = {
  contentInfo: method('content.v1.Content/Info', content.InfoRequest, content.InfoResponse),
  contentUpdate: method('content.v1.Content/Update', content.UpdateRequest, content.UpdateResponse),
  abortUpload: method('content.v1.Content/Abort', content.AbortRequest, content.Empty),
  getImage: method('images.v1.Images/Get', images.GetImageRequest, images.GetImageResponse),
  createImage: method('images.v1.Images/Create', images.CreateImageRequest, images.CreateImageResponse),
  updateImage: method('images.v1.Images/Update', images.UpdateImageRequest, images.UpdateImageResponse),
  createLease: method('leases.v1.Leases/Create', leases.CreateRequest, leases.CreateResponse),
  deleteLease: method('leases.v1.Leases/Delete', leases.DeleteRequest, leases.Empty),
  listLeases: method('leases.v1.Leases/List', leases.ListRequest, leases.ListResponse),
  addToLease: method('leases.v1.Leases/AddResource', leases.AddResourceRequest, leases.Empty),
  plugins: method(
    'introspection.v1.Introspection/Plugins',
    introspection.PluginsRequest,
    introspection.PluginsResponse,
  ),
  version: method('version.v1.Version/Version', version.Empty, version.VersionResponse),
};

/** Streams a blob. */
export const CONTENT_READ = method(
  'content.v1.Content/Read',
  content.ReadContentRequest,
  content.ReadContentResponse,
);

/** Takes a stream of requests, and answers each one. */
export const CONTENT_WRITE = method(
  'content.v1.Content/Write',
  content.WriteContentRequest,
  content.WriteContentResponse,
);
