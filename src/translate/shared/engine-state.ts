import type { EngineState } from '../../store/records';

const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'] as const;

/** One that a future Engine may invent is unknown, to CRI too: kubelet stops such containers before removing them. */
export function toEngineState(status: string): EngineState {
  return STATES.find((state) => state === status) ?? 'unknown';
}
