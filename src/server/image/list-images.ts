import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks, type Encoded } from '../../proto/service';
import type { ImageRecord } from '../../store/records';
import { toCriImage } from '../../translate/image/image';
import { familiarName, tryParseReference } from '../../translate/image/reference';
import { findImage } from '../../translate/shared/lookup';
import type { Services } from '../services';
import { askedNames, pinnedImages } from './image-use';

export function listImages(
  services: Services,
  request: Decoded<cri.IListImagesRequest>,
): Promise<cri.IListImagesResponse> {
  return Promise.resolve({ images: [...imagesOf(services, request)] });
}

/** Returns all images that match at the time of the call. Each message is built when it is read. */
export function imagesOf(
  services: Services,
  { filter }: Pick<Decoded<cri.IListImagesRequest>, 'filter'>,
): Iterable<cri.IImage> {
  const name = filter?.image?.image ?? '';
  const found = name === '' ? [...services.store.images.values()] : matching(services, name);
  const isPinned = pinnedImages(services);
  const names = askedNames(services.store);
  return mapLazily(found, (image) => toCriImage(image, isPinned(image), names.get(image.id)?.first));
}

/**
 * Finds images as ImageStatus does. A bare repository also matches all its tags, as with cri-dockerd and `crictl images`.
 */
function matching({ store }: Services, name: string): ImageRecord[] {
  const image = findImage(store, name, 'filter.image.image');
  const reference = tryParseReference(name);
  const isBare = reference !== undefined && reference.tag === undefined && reference.digest === undefined;
  if (!isBare) return image === undefined ? [] : [image];
  const tags = familiarName({ ...reference, tag: 'x' }).slice(0, -1);
  const ofRepository = [...store.images.values()].filter(({ repoTags }) =>
    repoTags.some((tag) => tag.startsWith(tags)),
  );
  return [...new Set([...(image === undefined ? [] : [image]), ...ofRepository])];
}

/**
 * Streams the answer of ListImages, for more images than fit into one message. The images are those at the time of the
 * call.
 */
export function streamImages(
  services: Services,
  request: Decoded<cri.IStreamImagesRequest>,
): Iterable<Encoded> {
  return encodeChunks(cri.Image, imagesOf(services, request));
}
