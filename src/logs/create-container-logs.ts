import { extname, join } from 'node:path';
import { claimDirectory } from '../node/disk/claim-directory';
import type { Logger } from '../lib/logger';
import type { ContainerLogs } from './container-logs';
import { InProcessLogs } from './in-process-logs';
import { LinkedLogs } from './linked-logs';
import { UntouchedLogs } from './untouched-logs';
import { WorkerLogs } from './worker-logs';

export interface ContainerLogsOptions {
  /** cri: we write CRI files; link: symlinks to the Engine's json-file; untouched: neither, somebody else does. */
  readonly mode: 'cri' | 'link' | 'untouched';
  /** Directory of the saved positions; must outlive reboots (the spools do). Created (0700) when missing. */
  readonly stateDir: string;
  /** Whether to go on at once where an earlier process was stopped; default true. */
  readonly resume?: boolean;
  readonly logger: Logger;
}

/**
 * The followers, in a worker thread, which resumes by itself what an earlier process was stopped at. Run from
 * TypeScript sources (jest), where no compiled worker file stands beside this one, they work on the calling thread
 * instead: same code, same promises.
 * @throws FAILED_PRECONDITION when another process uses the state directory.
 */
export function createContainerLogs({
  mode,
  stateDir,
  resume = true,
  logger,
}: ContainerLogsOptions): ContainerLogs {
  if (mode === 'untouched') return new UntouchedLogs();
  if (mode === 'link') return new LinkedLogs(logger);
  // Two would write and cut the same logs.
  const trouble = claimDirectory(stateDir, 'state-dir', 0o700);
  if (trouble !== '')
    logger.warn('The state directory cannot be written to', { directory: stateDir, error: trouble });
  const kind = extname(__filename);
  if (kind !== '.ts') {
    return new WorkerLogs({ stateDir, resume, logger, entry: join(__dirname, `worker-entry${kind}`) });
  }
  const logs = new InProcessLogs({ stateDir, logger });
  if (resume) logs.resume();
  return logs;
}
