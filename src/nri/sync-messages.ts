import { RuntimeError } from '../lib/errors';
import { nri } from '../proto/nri';
import { MAX_MESSAGE_BYTES } from './ttrpc/frame';

/** Leaves room for what ttrpc and the request add to the pods and containers. */
const SYNC_BYTES = MAX_MESSAGE_BYTES - 4096;
/** The tag and the length before each element of a list. */
const ELEMENT_BYTES = 1 + 4;

type Pod = nri.IPodSandbox;
type Container = nri.IContainer;

/**
 * Divides pods and containers into requests that ttrpc can carry. All but the last have `more`. Pods come before containers.
 * @param limit the largest number of bytes of pods and containers in a request.
 * @throws RuntimeError RESOURCE_EXHAUSTED when one pod or container alone is larger.
 */
export function syncMessages(
  pods: readonly Pod[],
  containers: readonly Container[],
  limit = SYNC_BYTES,
): nri.ISynchronizeRequest[] {
  const messages: { pods: Pod[]; containers: Container[]; more: boolean }[] = [];
  let current = { pods: [] as Pod[], containers: [] as Container[], more: false };
  let bytes = 0;
  const make = (size: number, what: string): typeof current => {
    if (size > limit)
      throw new RuntimeError(
        'RESOURCE_EXHAUSTED',
        `${what} has ${size} bytes, and a message has room for ${limit}`,
      );
    if (bytes + size > limit) {
      messages.push({ ...current, more: true });
      current = { pods: [], containers: [], more: false };
      bytes = 0;
    }
    bytes += size;
    return current;
  };
  for (const pod of pods)
    make(nri.PodSandbox.encode(pod).finish().length + ELEMENT_BYTES, `pod ${pod.id ?? ''}`).pods.push(pod);
  for (const container of containers)
    make(
      nri.Container.encode(container).finish().length + ELEMENT_BYTES,
      `container ${container.id ?? ''}`,
    ).containers.push(container);
  return [...messages, current];
}
