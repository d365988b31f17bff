import { cri, type Decoded } from '../../proto';
import { encodeChunks } from '../../proto/chunks';
import type { Encoded } from '../../proto/service';
import type { Services } from '../services';
import { imagesOf } from './list-images';

/** ListImages for more images than one message can hold: all of them as they were at the call. */
export function streamImages(
  services: Services,
  request: Decoded<cri.IStreamImagesRequest>,
): Iterable<Encoded> {
  return encodeChunks(cri.Image, imagesOf(services, request));
}
