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

/**
 * Pulls and inspects an image.
 * @returns the image's id, which equals Image.id (CRI 1.36).
 */
export async function pullImage(
  services: Services,
  request: Decoded<cri.IPullImageRequest>,
  { signal }: CallContext,
): Promise<cri.IPullImageResponse> {
  const { imagePulls, imageSync, logger, store } = services;
  const spec = required(request.image, 'image');
  // All runtime handlers share one set of images, but a handler that no pod can use is an error.
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
  // For a manifest list, the Engine chooses its own platform, which is also the node's.
  await imagePulls.pull(reference, auth, signal);
  const name = familiarName(reference);
  const image = await imageSync.refresh(name, signal);
  if (image === undefined) throw internal(`${name} was pulled, but the Engine no longer has it`);
  return { image_ref: image.id };
}

/**
 * Returns the credentials if they may be used for the image's registry. Credentials that name another server are ignored.
 */
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
