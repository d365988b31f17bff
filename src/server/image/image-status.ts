import type { cri, Decoded } from '../../proto';
import { toCriImage } from '../../translate/image';
import { required } from '../../translate/validate';
import { findImage } from '../lookup';
import type { Services } from '../services';

/** An absent image is an answer without `image`, not an error (cri-surface.md 3.1). */
export function imageStatus(
  { store, sandboxImage }: Services,
  request: Decoded<cri.IImageStatusRequest>,
): Promise<cri.IImageStatusResponse> {
  const image = findImage(store, required(request.image, 'image').image, 'image.image');
  if (image === undefined) return Promise.resolve({});
  const { labels, user, stopSignal } = image;
  return Promise.resolve({
    image: toCriImage(image, sandboxImage.isPinned(image)),
    info: request.verbose ? { info: JSON.stringify({ labels, user, stopSignal }) } : {},
  });
}
