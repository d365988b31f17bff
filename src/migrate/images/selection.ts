import type { EngineContainerSummary, EngineImageSummary } from '../../engine/types';
import { namesOf } from '../../translate/image/image';
import { registryOf, tryParseReference } from '../../translate/image/reference';

export type Selection = 'used' | 'only-local' | 'all';

/** An image of the Engine that is to be carried. */
export interface ChosenImage {
  /** The Engine's id, `sha256:…`. */
  readonly id: string;
  /** Names with a registry and a tag, as containerd keeps them. */
  readonly tags: readonly string[];
  /** Names with a digest, in the same form. */
  readonly digests: readonly string[];
  /** The size in bytes that the Engine reports. */
  readonly size: number;
  /** Why the image is carried. */
  readonly why: string;
}

/** Kubernetes' label of each container of a pod, its sandbox included. */
const POD_NAME = 'io.kubernetes.pod.name';

/**
 * Returns the images to carry, sorted by name. Images without a name are left out, because no pod can ask for them.
 * @param pulled the ids of images from registries. By default these are the images with a registry digest. An Engine with the
 * containerd store gives every image a digest, so it needs this parameter.
 */
export function chosenImages(
  images: readonly EngineImageSummary[],
  containers: readonly EngineContainerSummary[],
  selection: Selection,
  pulled?: ReadonlySet<string>,
): ChosenImage[] {
  const pods = podsByImage(containers);
  const isLocal = ({ id, digests }: Pick<ChosenImage, 'id' | 'digests'>): boolean =>
    pulled === undefined ? digests.length === 0 : !pulled.has(id);
  return images
    .map((image) => {
      const { repoTags, repoDigests } = namesOf(image);
      const users = [...(pods.get(image.Id) ?? [])];
      return {
        ...{ id: image.Id, size: image.Size, users },
        tags: repoTags.flatMap(fullName),
        digests: repoDigests.flatMap(fullName),
      };
    })
    .filter(({ tags, digests }) => tags.length + digests.length > 0)
    .filter(({ users, ...image }) => {
      if (selection === 'used') return users.length > 0;
      return selection === 'all' || isLocal(image);
    })
    .map(({ users, ...image }) => ({ ...image, why: reason(users, isLocal(image)) }))
    .sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
}

/** The name under which an image is shown. */
export function nameOf({ tags, digests, id }: Pick<ChosenImage, 'tags' | 'digests' | 'id'>): string {
  return tags[0] ?? digests[0] ?? id;
}

/** Returns the pods, running or ended, of which the Engine still has containers. */
function podsByImage(containers: readonly EngineContainerSummary[]): Map<string, Set<string>> {
  const pods = new Map<string, Set<string>>();
  for (const { ImageID, Labels } of containers) {
    const pod = Labels?.[POD_NAME];
    if (pod === undefined) continue;
    const before = pods.get(ImageID) ?? new Set();
    pods.set(ImageID, before.add(pod));
  }
  return pods;
}

function reason(users: readonly string[], isLocal: boolean): string {
  const [first = '', ...others] = users;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const usedBy = first === '' ? 'no pod uses it' : `pod ${first}${more}`;
  return isLocal ? `${usedBy}; in no registry that the Engine knows` : usedBy;
}

/** Returns the name with its registry, such as `docker.io/library/busybox:1`. */
function fullName(name: string): string[] {
  const reference = tryParseReference(name);
  if (reference === undefined) return [];
  const { host, path } = registryOf(reference);
  const { tag, digest } = reference;
  return [`${host}/${path}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`];
}
