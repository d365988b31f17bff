import type { cri, Decoded } from '../../proto';
import { toCriImage } from '../../translate/image';
import { findImage } from '../lookup';
import type { Services } from '../services';

export function listImages(
  { store, sandboxImage }: Services,
  request: Decoded<cri.IListImagesRequest>,
): Promise<cri.IListImagesResponse> {
  const name = request.filter?.image?.image ?? '';
  const found =
    name === '' ? [...store.images.values()] : [findImage(store, name, 'filter.image.image') ?? []].flat();
  return Promise.resolve({ images: found.map((image) => toCriImage(image, sandboxImage.isPinned(image))) });
}
