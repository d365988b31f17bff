import type { cri, Decoded } from '../../proto';
import { toCriImage, toVerboseInfo } from '../../translate/image/image';
import { required } from '../../translate/shared/validate';
import { findImage } from '../../translate/shared/lookup';
import type { Services } from '../services';
import { askedNames, type AskedNames, pinnedImages } from './image-use';

/** Returns the status of an image. For an absent image, the answer has no `image`, which is not an error. */
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
 * Returns the requested name if pods have used this name for the image. Otherwise returns the name that lists contain, so
 * that the answer is the same for each of the image's names.
 */
function nameInStatus(
  { image, user_specified_image }: Decoded<cri.IImageSpec>,
  asked: AskedNames | undefined,
): string | undefined {
  return [user_specified_image, image].find((name) => asked?.all.has(name)) ?? asked?.first;
}
