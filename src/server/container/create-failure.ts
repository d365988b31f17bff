import { access } from 'node:fs/promises';
import { hasStatus } from '../../docker/errors';
import { waitAtMost } from '../../lib/deadline';
import { errnoOf, invalidArgument, messageOf, notFound } from '../../lib/errors';
import type { CheckedContainer } from '../../translate/container-check';

/** A path on a dead network file system must not hold the answer up. */
const LOOK_MS = 1_000;

/**
 * What the Engine's refusal of a create call means in terms of the request. Only now, when something is wrong anyway, do
 * we look at the host's paths: each look may be slow.
 * @param localEngine whether the paths of the request are on this machine.
 */
export async function explainCreateFailure(
  error: unknown,
  { config, mounts }: CheckedContainer,
  localEngine: boolean,
): Promise<unknown> {
  if (hasStatus(error, 404)) {
    return notFound(
      `config.image.image: image "${config.image?.image ?? ''}" is not on this node; pull it first (${messageOf(error)})`,
    );
  }
  if (!hasStatus(error, 400) || !localEngine) return error;
  const looks = mounts.map(async ({ hostPath }) => hostPath !== '' && (await isMissing(hostPath)));
  const missing = (await Promise.all(looks)).indexOf(true);
  if (missing === -1) return error;
  return invalidArgument(
    `config.mounts[${missing}].host_path`,
    `"${mounts[missing]?.hostPath ?? ''}" does not exist on this node`,
  );
}

/** Follows symlinks: one that leads nowhere is missing too. */
async function isMissing(path: string): Promise<boolean> {
  try {
    await waitAtMost('a look at a path', LOOK_MS, access(path));
    return false;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}
