import { failedPrecondition } from '../lib/errors';
import type { ContainerLogs, RelinkedLog } from './container-logs';

/** Leaves all logs to whoever writes them: for a daemon that only observes. */
export class UntouchedLogs implements ContainerLogs {
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
