import { failedPrecondition } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { claimDirectory } from '../node/claims';
import type { ContainerLogs, RelinkedLog } from './container-logs';
import { LinkedLogs } from './linked-logs';
import { WorkerLogs, type WorkerLogsOverrides } from './worker-logs';

export interface ContainerLogsOptions {
  /**
   * `cri`: we write CRI log files. `link`: we make symlinks to the Engine's json-files. `untouched`: we do neither, because
   * another runtime writes the logs.
   */
  readonly mode: 'cri' | 'link' | 'untouched';
  /**
   * Directory of the saved positions. It must survive reboots, because the spools do. Created with mode 0700 when it is
   * missing.
   */
  readonly stateDir: string;
  /** Whether to continue at once where an earlier process stopped; true by default. */
  readonly resume?: boolean;
  readonly logger: Logger;
  readonly overrides?: WorkerLogsOverrides;
}

/**
 * Creates the logs for a mode. In the mode `cri`, a worker thread copies them and resumes from the positions that the previous
 * process saved.
 * @throws FAILED_PRECONDITION when another process uses the state directory.
 */
export function createContainerLogs({
  mode,
  stateDir,
  resume = true,
  logger,
  overrides = {},
}: ContainerLogsOptions): ContainerLogs {
  if (mode === 'untouched') return new UntouchedLogs();
  if (mode === 'link') return new LinkedLogs(logger);
  // Without the claim, two daemons could write and truncate the same logs.
  const trouble = claimDirectory(stateDir, 'state-dir', 0o700);
  if (trouble !== '')
    logger.warn('Cannot write to the state directory', { directory: stateDir, error: trouble });
  return new WorkerLogs({ stateDir, resume, logger, overrides, entry: require.resolve('./worker-entry') });
}

/** Writes no logs, for a daemon that only observes. */
class UntouchedLogs implements ContainerLogs {
  follow(): Promise<void> {
    return Promise.resolve();
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  salvage(): Promise<void> {
    return Promise.resolve();
  }

  note(): Promise<void> {
    return Promise.resolve();
  }

  reopen(): Promise<void> {
    return Promise.reject(failedPrecondition('this dockbridge writes no container logs'));
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  retain(): Promise<void> {
    return Promise.resolve();
  }

  handOver(): Promise<RelinkedLog> {
    return Promise.reject(failedPrecondition('this dockbridge has no container logs to hand over'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
