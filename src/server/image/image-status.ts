import type { cri, Decoded } from '../../proto';
import { toCriImage, toVerboseInfo } from '../../translate/image';
import { required } from '../../translate/validate';
import { findImage } from '../lookup';
import type { Services } from '../services';
import { askedNames } from './asked-names';
import { pinnedImages } from './pinned-images';

/** An absent image is an answer without `image`, not an error. */
export function imageStatus(
  services: Services,
  request: Decoded<cri.IImageStatusRequest>,
): Promise<cri.IImageStatusResponse> {
  const image = findImage(services.store, required(request.image, 'image').image, 'image.image');
  if (image === undefined) return Promise.resolve({});
  return Promise.resolve({
    image: toCriImage(image, pinnedImages(services)(image), askedNames(services.store).get(image.id)),
    info: request.verbose ? { info: JSON.stringify(toVerboseInfo(image)) } : {},
  });
}
