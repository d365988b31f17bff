import { internal, invalidArgument } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { cri, Decoded } from '../../proto';
import { toEngineAuth } from '../../registry/auth';
import { registryHost } from '../../registry/credentials';
import type { EngineAuth } from '../../engine/types';
import {
  asImageId,
  familiarName,
  parseReference,
  registryOf,
  type ImageReference,
} from '../../translate/image/reference';
import { toEngineRuntime } from '../../translate/shared/engine-facts';
import { required } from '../../translate/shared/validate';
import { knownRuntimes, lookForHandler } from '../engine-abilities';
import type { CallContext, Services } from '../services';

/** Pulls and inspects the image. @returns the image's id, the same string as Image.id (CRI 1.36). */
export async function pullImage(
  services: Services,
  request: Decoded<cri.IPullImageRequest>,
  { signal }: CallContext,
): Promise<cri.IPullImageResponse> {
  const { imagePulls, imageSync, logger, store } = services;
  const spec = required(request.image, 'image');
  // All runtimes share one set of images, but a handler that no pod can have is an error.
  await lookForHandler(services, spec.runtime_handler, signal);
  toEngineRuntime(spec.runtime_handler, knownRuntimes(store), 'image.runtime_handler');
  const id = asImageId(spec.image);
  if (id !== undefined) {
    if (store.images.get(id) === undefined)
      throw invalidArgument('image.image', `${id} is an id, not a name to pull`);
    return { image_ref: id };
  }
  const reference = parseReference(spec.image, 'image.image');
  const auth = forRegistryOf(reference, toEngineAuth(request.auth), logger);
  // The Engine chooses the platform of a manifest list: its own, which is the node's.
  await imagePulls.pull(reference, auth, signal);
  const name = familiarName(reference);
  const image = await imageSync.refresh(name, signal);
  if (image === undefined) throw internal(`${name} was pulled, but the Engine does not have it any more`);
  return { image_ref: image.id };
}

/** Credentials that name a server are not used for another one. */
function forRegistryOf(
  reference: ImageReference,
  auth: EngineAuth | undefined,
  logger: Logger,
): EngineAuth | undefined {
  const server = auth?.serveraddress;
  const { host } = registryOf(reference);
  if (server === undefined || registryHost(server) === host.toLowerCase()) return auth;
  logger.warn('Ignoring credentials that are for another registry', { registry: host, server });
  return undefined;
}
