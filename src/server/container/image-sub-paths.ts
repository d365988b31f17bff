import type { DockerClient } from '../../docker/client';
import { hasStatus } from '../../docker/errors';
import { invalidArgument, messageOf, RuntimeError } from '../../lib/errors';
import type { MountRecord } from '../../store/records';

/** Any path will do: to read it, the Engine mounts all that the container has. */
const ANY_PATH = '/etc/passwd';

/**
 * The Engine looks for the sub-path of an image mount no sooner than it mounts, at the start. So that CreateContainer can
 * refuse a wrong one, as kubelet expects, it is made to mount now; a container that fails is removed.
 */
export async function requireSubPaths(
  docker: DockerClient,
  id: string,
  mounts: readonly MountRecord[],
  field: string,
  signal: AbortSignal,
): Promise<void> {
  const asked = mounts.flatMap(({ image }, index) =>
    image === undefined || image.subPath === '' ? [] : [{ image, at: `${field}[${index}].image_sub_path` }],
  );
  if (asked.length === 0) return;
  try {
    await docker.readFile(id, ANY_PATH, { signal });
  } catch (error) {
    // Without the call's signal: whatever went wrong, nobody would know of the container.
    await docker.removeContainer(id);
    if (!hasStatus(error, 500)) throw error;
    const [what, where] = [asked.map(({ image }) => `"${image.subPath}"`), asked.map(({ at }) => at)];
    const { code, message } = invalidArgument(
      where.join(' or '),
      `${what.join(' or ')} is not in the image (${messageOf(error)})`,
    );
    throw new RuntimeError(code, `ImageVolumeMountFailed: ${message}`, { cause: error });
  }
}
