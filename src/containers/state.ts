import type { ContainerRecord, EngineState } from '../store/records';

const STOPPED: readonly EngineState[] = ['created', 'exited', 'dead', 'removing'];

/** Also true for a container whose state is unknown: stopping one that has ended does no harm. */
export function isRunning({ state }: { readonly state: EngineState }): boolean {
  return !STOPPED.includes(state);
}

/** Also true when its start failed: CRI starts a container once. */
export function wasStarted({ state, startedAt, error }: ContainerRecord): boolean {
  return state !== 'created' || !startedAt.isZero() || error !== '';
}
