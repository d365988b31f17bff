import type { cri, Decoded } from '../../proto';
import { toCriImage, toVerboseInfo } from '../../translate/image/image';
import { required } from '../../translate/shared/validate';
import { findImage } from '../../translate/shared/lookup';
import type { Services } from '../services';
import { askedNames, type AskedNames, pinnedImages } from './image-use';

/** For an absent image the answer has no `image`; it is not an error. */
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
 * The name in the request, if pods asked for the image by it; otherwise the name that lists give, so that the answer is the
 * same for each of the image's names.
 */
function nameInStatus(
  { image, user_specified_image }: Decoded<cri.IImageSpec>,
  asked: AskedNames | undefined,
): string | undefined {
  return [user_specified_image, image].find((name) => asked?.all.has(name)) ?? asked?.first;
}
