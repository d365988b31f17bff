import type { DiskLooks } from '../../node/disk/disk-looks';
import { failedPrecondition, hasCode } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { makeDirectory, NoDirectory } from '../../node/disk/make-directory';
import type { MountRecord } from '../../store/records';

export interface MountSourceParts {
  readonly logger: Logger;
  readonly hostDisks: DiskLooks;
  /** Other than usual in tests. */
  readonly make?: typeof makeDirectory;
}

/**
 * Makes the directories of this node that mounts name and that do not exist, as dockershim, cri-dockerd, containerd and
 * CRI-O do: a hostPath without a type is often one that is there only once its pod has run (ADR 0013).
 * One after the other, up to the first on a disk that hangs.
 * @throws FAILED_PRECONDITION for the first that cannot be made, naming its field.
 */
export async function makeMissingSources(
  mounts: readonly MountRecord[],
  field: string,
  { logger, hostDisks, make = makeDirectory }: MountSourceParts,
): Promise<void> {
  const made: string[] = [];
  let at = 0;
  try {
    for (const [index, { hostPath }] of mounts.entries()) {
      at = index;
      if (hostPath === '') continue;
      const work = (): Promise<boolean> => make(hostPath);
      if (await hostDisks.run('Making a directory', hostPath, work)) made.push(hostPath);
    }
  } catch (error) {
    // The Engine, which is asked once more, says what it sees of a disk that hangs.
    if (hasCode(error, 'DEADLINE_EXCEEDED')) return;
    if (!(error instanceof NoDirectory)) throw error;
    throw failedPrecondition(
      `${field}[${at}].host_path: ${JSON.stringify(mounts[at]?.hostPath)} does not exist on this node and ${error.message}`,
    );
  } finally {
    if (made.length > 0)
      logger.info('Directories that a container mounts were missing, and are made', { made });
  }
}
