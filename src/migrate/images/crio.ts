import { hasCode, messageOf } from '../../lib/errors';
import { resolveChain } from './chain';
import type { BlobSource } from './containerd/content-store';
import type { CrioStorage } from './crio-storage';
import type { EngineKind } from './engine-side';
import type { ChosenImage } from './selection';
import type { Need } from './space';
import type { Target } from './target';

/** How much larger than its archive a layer is in containers/storage, which keeps it unpacked: files fill whole blocks. */
const UNPACKED = 1.2;
/** Where skopeo writes the archive that it gets from the Engine. */
const SKOPEO_FILES = '/var/tmp';

/** What is done for one image when CRI-O is the target. */
export interface CrioDecision {
  readonly image: ChosenImage;
  readonly how: 'skopeo' | 'present' | 'skip';
  readonly why: string;
  /** The image id in CRI; undefined when it is not known. */
  readonly configDigest?: string | undefined;
}

/**
 * Decides what happens with an image. Changes nothing.
 * @param content the Engine's containerd, when it keeps the images and its socket is known.
 */
export async function decideForCrio(
  image: ChosenImage,
  kind: EngineKind,
  content: BlobSource | undefined,
  target: Pick<Target, 'criImage'>,
): Promise<CrioDecision> {
  const { tags, why } = image;
  if (tags.length === 0)
    return {
      ...{ image, how: 'skip' },
      why: "it has only a digest, and skopeo asks the Engine for tags: the target's kubelet pulls it again",
    };
  try {
    const configDigest = await configDigestOf(image, kind, content);
    const there = await Promise.all(tags.map((name) => target.criImage(name)));
    const isPresent = configDigest !== undefined && there.every((id) => id === configDigest);
    return { image, how: isPresent ? 'present' : 'skopeo', why, configDigest };
  } catch (error) {
    if (hasCode(error, 'FAILED_PRECONDITION')) return { image, how: 'skip', why: messageOf(error) };
    throw error;
  }
}

/**
 * Returns the image id in CRI; undefined when it is not known. With the containerd store, the Engine's id of an image is the digest of
 * an index or a manifest, and not the id in CRI.
 */
async function configDigestOf(
  { id }: ChosenImage,
  { containerd, platform }: EngineKind,
  content: BlobSource | undefined,
): Promise<string | undefined> {
  if (containerd === undefined) return id;
  if (content === undefined) return undefined;
  try {
    return (await resolveChain(content, id, platform)).configDigest;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'UNAVAILABLE')) return undefined;
    throw error;
  }
}

/**
 * Returns the space that skopeo needs on this node's file systems. skopeo carries one image at a time.
 * @param layersSize the size in bytes of all layers of the Engine, each counted once; undefined when it is unknown.
 */
export function crioNeeds(
  decisions: readonly CrioDecision[],
  storage: CrioStorage | undefined,
  { rootDir }: EngineKind,
  layersSize: number | undefined,
): Need[] {
  const sizes = decisions.filter(({ how }) => how === 'skopeo').map(({ image }) => image.size);
  const unpacked = Math.min(
    sizes.reduce((sum, size) => sum + size, 0),
    layersSize ?? Infinity,
  );
  const largest = Math.max(0, ...sizes);
  return [
    ...(storage === undefined
      ? []
      : [{ path: storage.root, bytes: Math.round(unpacked * UNPACKED), what: 'the images' }]),
    { path: rootDir, bytes: largest, what: "the Engine's archive" },
    { path: SKOPEO_FILES, bytes: largest, what: "skopeo's copy of the archive" },
  ];
}
