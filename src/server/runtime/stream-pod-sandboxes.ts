import { cri, type Decoded } from '../../proto';
import { encodeChunks } from '../../proto/chunks';
import type { Encoded } from '../../proto/service';
import type { Services } from '../services';
import { sandboxesOf } from './list-pod-sandbox';

/** ListPodSandbox for more pods than one message can hold: all of them as they were at the call. */
export function streamPodSandboxes(
  services: Services,
  request: Decoded<cri.IStreamPodSandboxesRequest>,
): Iterable<Encoded> {
  return encodeChunks(cri.PodSandbox, sandboxesOf(services, request));
}
