import type { DiskLooks } from '../../node/disk/disk-looks';
import { failedPrecondition, hasCode } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { makeDirectory, NoDirectory } from '../../node/disk/make-directory';
import type { MountRecord } from '../../store/records';

export interface MountSourceParts {
  readonly logger: Logger;
  readonly hostDisks: DiskLooks;
  /** Replaced in tests. */
  readonly make?: typeof makeDirectory;
}

/**
 * Creates missing directories of this node that mounts name, as dockershim, cri-dockerd, containerd and CRI-O do: a hostPath
 * without a type often exists only after its pod has run (ADR 0013). It goes through them in order, and stops at a disk
 * that hangs.
 * @throws FAILED_PRECONDITION naming the field of the first one that cannot be created.
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
    // The create call is repeated, and the Engine then reports the hanging disk.
    if (hasCode(error, 'DEADLINE_EXCEEDED')) return;
    if (!(error instanceof NoDirectory)) throw error;
    throw failedPrecondition(
      `${field}[${at}].host_path: ${JSON.stringify(mounts[at]?.hostPath)} does not exist on this node and ${error.message}`,
    );
  } finally {
    if (made.length > 0) logger.info('Created missing directories that a container mounts', { paths: made });
  }
}
