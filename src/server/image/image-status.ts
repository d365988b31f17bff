import type { cri, Decoded } from '../../proto';
import { toCriImage, toVerboseInfo } from '../../translate/image/image';
import { required } from '../../translate/shared/validate';
import { findImage } from '../../translate/shared/lookup';
import type { Services } from '../services';
import { askedNames, type AskedNames, pinnedImages } from './image-use';

/** An absent image is an answer without `image`, not an error. */
export function imageStatus(
  services: Services,
  request: Decoded<cri.IImageStatusRequest>,
): Promise<cri.IImageStatusResponse> {
  const asked = required(request.image, 'image');
  const image = findImage(services.store, asked.image, 'image.image');
  if (image === undefined) return Promise.resolve({});
  const name = nameInStatus(asked, askedNames(services.store).get(image.id));
  return Promise.resolve({
    image: toCriImage(image, pinnedImages(services)(image), name),
    info: request.verbose ? { info: JSON.stringify(toVerboseInfo(image)) } : {},
  });
}

/**
 * The name of the question, where pods asked for the image by it, among others; else the one that lists give, so that the
 * same image has the same answer by each of its names.
 */
function nameInStatus(
  { image, user_specified_image }: Decoded<cri.IImageSpec>,
  asked: AskedNames | undefined,
): string | undefined {
  return [user_specified_image, image].find((name) => asked?.all.has(name)) ?? asked?.first;
}
