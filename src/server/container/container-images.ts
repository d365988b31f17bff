import { hasStatus } from '../../docker/errors';
import type { EngineContainerCreate } from '../../engine/types';
import { invalidArgument, messageOf, notFound, RuntimeError } from '../../lib/errors';
import type { ImageRecord, MountRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { asImageId, familiarName, parseReference } from '../../translate/image/reference';
import { findImage } from '../../translate/shared/lookup';
import type { Services } from '../services';

/**
 * Finds the image that a request names. If the store does not know it, the Engine is asked.
 * @throws NOT_FOUND when the node does not have it.
 */
export async function imageToRun(
  { store, imageSync }: Pick<Services, 'store' | 'imageSync'>,
  wanted: string,
  field: string,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const known = findImage(store, wanted, field);
  if (known !== undefined) return known;
  const name = asImageId(wanted) ?? familiarName(parseReference(wanted, field));
  const image = await imageSync.refresh(name, signal);
  if (image === undefined) throw notFound(`${field}: image "${wanted}" is not on this node; pull it first`);
  return image;
}

/**
 * Adds the image ids to image mounts; kubelet has pulled the images before.
 * @throws NOT_FOUND with the prefix that kubelet looks for.
 */
export function withMountImages(store: Store, mounts: readonly MountRecord[], field: string): MountRecord[] {
  return mounts.map((mount, index) => {
    if (mount.image === undefined) return mount;
    const at = `${field}[${index}].image.image`;
    const found = findImage(store, mount.image.image, at);
    if (found === undefined) {
      throw notFound(
        `ImageVolumeMountFailed: ${at}: image "${mount.image.image}" is not on this node; pull it first`,
      );
    }
    return { ...mount, image: { ...mount.image, id: found.id } };
  });
}

/** Any path works: to read a file, the Engine mounts everything that the container has. */
const ANY_PATH = '/etc/passwd';

type Parts = Pick<Services, 'docker' | 'probes'>;

/**
 * The Engine checks the sub-path of an image mount only when it mounts, at the start. kubelet expects CreateContainer to
 * refuse a wrong one, so this makes the Engine mount now; a container that fails is removed.
 * @param body the create request of the container.
 */
export async function requireSubPaths(
  parts: Parts,
  id: string,
  body: EngineContainerCreate,
  mounts: readonly MountRecord[],
  field: string,
  signal: AbortSignal,
): Promise<void> {
  const asked = mounts.flatMap(({ image }, index) =>
    image === undefined || image.subPath === '' ? [] : [{ image, at: `${field}[${index}].image_sub_path` }],
  );
  if (asked.length === 0) return;
  try {
    await parts.docker.readFile(id, ANY_PATH, { signal });
  } catch (error) {
    // Without the call's signal, because nobody else would remove this container.
    await parts.docker.removeContainer(id);
    if (!hasStatus(error, 500) || !(await mountsWithoutSubPaths(parts, body))) throw error;
    const [what, where] = [asked.map(({ image }) => `"${image.subPath}"`), asked.map(({ at }) => at)];
    const { code, message } = invalidArgument(
      where.join(' or '),
      `${what.join(' or ')} is not in the image (${messageOf(error)})`,
    );
    throw new RuntimeError(code, `ImageVolumeMountFailed: ${message}`, { cause: error });
  }
}

/** Whether the mounts work without sub-paths. The Engine answers 500 for every failure to mount, so this tells the cause. */
async function mountsWithoutSubPaths(
  { docker, probes }: Parts,
  { Image, HostConfig: { Mounts, Binds = null } }: EngineContainerCreate,
): Promise<boolean> {
  const whole = (Mounts ?? []).map(({ ImageOptions, ...mount }) => mount);
  try {
    await probes.with({ Image, HostConfig: { Mounts: whole, Binds } }, (id) => docker.readFile(id, ANY_PATH));
    return true;
  } catch {
    return false;
  }
}
