import { hasStatus } from '../../docker/errors';
import { invalidArgument, messageOf, RuntimeError } from '../../lib/errors';
import type { MountRecord } from '../../store/records';
import type { EngineContainerCreate } from '../../engine/types';
import type { Services } from '../services';

/** Any path will do: to read it, the Engine mounts all that the container has. */
const ANY_PATH = '/etc/passwd';

type Parts = Pick<Services, 'docker' | 'probes'>;

/**
 * The Engine looks for the sub-path of an image mount no sooner than it mounts, at the start. So that CreateContainer can
 * refuse a wrong one, as kubelet expects, it is made to mount now; a container that fails is removed.
 * @param body what the container was made of.
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
    // Without the call's signal: whatever went wrong, nobody would know of the container.
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

/** Whether the sub-paths are to blame: the Engine has one status, 500, for all that fails when it mounts. */
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
