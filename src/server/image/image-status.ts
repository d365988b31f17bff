import type { cri, Decoded } from '../../proto';
import type { ImageRecord } from '../../store/records';
import { toCriImage, toVerboseInfo } from '../../translate/image';
import { familiarName, tryParseReference } from '../../translate/reference';
import { required } from '../../translate/validate';
import { findImage } from '../lookup';
import type { Services } from '../services';
import { askedNames, type AskedNames } from './asked-names';
import { pinnedImages } from './pinned-images';

/** An absent image is an answer without `image`, not an error. */
export function imageStatus(
  services: Services,
  request: Decoded<cri.IImageStatusRequest>,
): Promise<cri.IImageStatusResponse> {
  const asked = required(request.image, 'image');
  const image = findImage(services.store, asked.image, 'image.image');
  if (image === undefined) return Promise.resolve({});
  const name = nameInStatus(image, asked, askedNames(services.store).get(image.id));
  return Promise.resolve({
    image: toCriImage(image, pinnedImages(services)(image), name),
    info: request.verbose ? { info: JSON.stringify(toVerboseInfo(image)) } : {},
  });
}

/**
 * The name of the question, where it is a tag of the image or a pod's name for it; else the one that lists give, so that id
 * and digest have the same answer.
 */
function nameInStatus(
  { repoTags }: ImageRecord,
  { image, user_specified_image }: Decoded<cri.IImageSpec>,
  asked: AskedNames | undefined,
): string | undefined {
  const isKnown = (name: string): boolean => {
    if (asked?.all.has(name) === true) return true;
    const reference = tryParseReference(name);
    const familiar = reference && familiarName(reference);
    return familiar !== undefined && repoTags.includes(familiar);
  };
  return [user_specified_image, image].find(isKnown) ?? asked?.first;
}
