import { extname, join } from 'node:path';
import type { Logger } from '../lib/logger';
import type { ContainerLogs } from './container-logs';
import { InProcessLogs } from './in-process-logs';
import { WorkerLogs } from './worker-logs';

export interface ContainerLogsOptions {
  /** Directory of the saved positions; must outlive reboots (the spools do). Created (0700) when missing. */
  readonly stateDir: string;
  readonly logger: Logger;
}

/**
 * The followers, in a worker thread. Run from TypeScript sources (jest), where no compiled worker file stands
 * beside this one, they work on the calling thread instead: same code, same promises.
 */
export function createContainerLogs(options: ContainerLogsOptions): ContainerLogs {
  const kind = extname(__filename);
  if (kind === '.ts') {
    const logs = new InProcessLogs(options);
    logs.resume();
    return logs;
  }
  return new WorkerLogs({ ...options, entry: join(__dirname, `worker-entry${kind}`) });
}
