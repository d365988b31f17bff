import { waitAtMost } from '../../lib/deadline';
import { failedPrecondition, hasCode } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { makeDirectory, NoDirectory } from '../../lib/make-directory';
import type { MountRecord } from '../../store/records';

/** A path on a dead network file system must not hold the answer up. */
const PATIENCE_MS = 5_000;

/**
 * Makes the directories of this node that mounts name and that do not exist, as dockershim, cri-dockerd, containerd and
 * CRI-O do: a hostPath without a type is often one that is there only once its pod has run (ADR 0013).
 * @throws FAILED_PRECONDITION for the first that cannot be made, naming its field.
 */
export async function makeMissingSources(
  mounts: readonly MountRecord[],
  field: string,
  logger: Logger,
): Promise<void> {
  const results = await Promise.allSettled(
    mounts.map(({ hostPath }) =>
      hostPath === ''
        ? Promise.resolve(false)
        : waitAtMost('making a directory', PATIENCE_MS, makeDirectory(hostPath)),
    ),
  );
  const made = mounts.filter((_, index) => isTrue(results[index])).map(({ hostPath }) => hostPath);
  if (made.length > 0)
    logger.info('Directories that a container mounts were missing, and are made', { made });
  results.forEach((result, index) => {
    if (result.status === 'fulfilled' || hasCode(result.reason, 'DEADLINE_EXCEEDED')) return;
    const reason: unknown = result.reason;
    if (!(reason instanceof NoDirectory)) throw reason;
    throw failedPrecondition(
      `${field}[${index}].host_path: ${JSON.stringify(mounts[index]?.hostPath)} does not exist on this node and ${reason.message}`,
    );
  });
}

function isTrue(result: PromiseSettledResult<boolean> | undefined): boolean {
  return result?.status === 'fulfilled' && result.value;
}
