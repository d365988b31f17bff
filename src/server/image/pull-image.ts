import { EngineError } from '../../docker/errors';
import { internal, invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { toEngineAuth } from '../../translate/auth';
import { asImageId, familiarName, parseReference } from '../../translate/reference';
import { required } from '../../translate/validate';
import type { CallContext, Services } from '../services';

/** Pull and inspect. @returns the image's id, the same string as Image.id (CRI 1.36). */
export async function pullImage(
  { docker, store, imageSync }: Services,
  request: Decoded<cri.IPullImageRequest>,
  { signal }: CallContext,
): Promise<cri.IPullImageResponse> {
  const spec = required(request.image, 'image');
  if (spec.runtime_handler !== '' && store.engine?.runtimes.includes(spec.runtime_handler) !== true) {
    throw invalidArgument(
      'image.runtime_handler',
      `"${spec.runtime_handler}" is not a runtime of this Engine`,
    );
  }
  const id = asImageId(spec.image);
  if (id !== undefined) {
    if (store.images.get(id) === undefined)
      throw invalidArgument('image.image', `${id} is an id, not a name to pull`);
    return { image_ref: id };
  }
  const name = familiarName(parseReference(spec.image, 'image.image'));
  try {
    await docker.pullImage(name, toEngineAuth(request.auth), () => undefined, { signal });
  } catch (error) {
    if (error instanceof EngineError)
      throw new EngineError(error.code, error.statusCode, `${name}: ${error.message}`);
    throw error;
  }
  const image = await imageSync.refresh(name, signal);
  if (image === undefined) throw internal(`${name} was pulled, but the Engine does not have it any more`);
  return { image_ref: image.id };
}
