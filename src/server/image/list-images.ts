import { mapLazily } from '../../lib/map-lazily';
import type { cri, Decoded } from '../../proto';
import { toCriImage } from '../../translate/image';
import { findImage } from '../lookup';
import type { Services } from '../services';

export function listImages(
  services: Services,
  request: Decoded<cri.IListImagesRequest>,
): Promise<cri.IListImagesResponse> {
  return Promise.resolve({ images: [...imagesOf(services, request)] });
}

/** All that match now; each is made when it is asked for. */
export function imagesOf(
  { store, sandboxImage }: Services,
  { filter }: Pick<Decoded<cri.IListImagesRequest>, 'filter'>,
): Iterable<cri.IImage> {
  const name = filter?.image?.image ?? '';
  const found =
    name === '' ? [...store.images.values()] : [findImage(store, name, 'filter.image.image') ?? []].flat();
  return mapLazily(found, (image) => toCriImage(image, sandboxImage.isPinned(image)));
}
