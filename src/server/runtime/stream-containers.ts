import { cri, type Decoded } from '../../proto';
import { encodeChunks } from '../../proto/chunks';
import type { Encoded } from '../../proto/service';
import type { Services } from '../services';
import { containersOf } from './list-containers';

/** ListContainers for more containers than one message can hold: all of them as they were at the call. */
export function streamContainers(
  services: Services,
  request: Decoded<cri.IStreamContainersRequest>,
): Iterable<Encoded> {
  return encodeChunks(cri.Container, containersOf(services, request));
}
