import type { ContainerRecord, SandboxRecord } from '../store/records';

/** Whether there is anything to read: it runs, or is frozen. */
export function hasProcess({ state, pid }: SandboxRecord | ContainerRecord): boolean {
  return pid !== 0 && (state === 'running' || state === 'paused');
}
