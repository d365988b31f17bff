import type { ContainerRecord, EngineState, SandboxRecord } from './records';

/** All questions about the state of a record, so that a new state of the Engine is added in one place. ESLint keeps them here. */
type AnyRecord = SandboxRecord | ContainerRecord;
interface HasState {
  readonly state: EngineState;
}

const STOPPED: readonly EngineState[] = ['created', 'exited', 'dead', 'removing'];

/** Also true for a container that is paused or whose state is unknown: stopping one that has ended does no harm. */
export function mayRun({ state }: HasState): boolean {
  return !STOPPED.includes(state);
}

/** It runs and is not paused, so the Engine starts commands in it and attaches clients to it. */
export function isRunning({ state }: HasState): boolean {
  return state === 'running';
}

export function isPaused({ state }: HasState): boolean {
  return state === 'paused';
}

/** Its first process exists, running or frozen. */
export function isAlive(record: HasState): boolean {
  return isRunning(record) || isPaused(record);
}

/** It has not run yet; a start may be under way, or may have failed. */
export function isCreated({ state }: HasState): boolean {
  return state === 'created';
}

export function hasEnded({ state }: HasState): boolean {
  return state === 'exited' || state === 'dead';
}

/** Whether it has a process whose usage can be read: it runs, or is paused. */
export function hasProcess(record: AnyRecord): boolean {
  return record.pid !== 0 && isAlive(record);
}

/** CRI's READY: the pause process runs, its network is set up, and nobody has begun to stop the pod. */
export function isReady(sandbox: SandboxRecord): boolean {
  return isAlive(sandbox) && sandbox.networkReady && !sandbox.stopping;
}

/** Also true when its start failed: CRI starts a container once. */
export function wasStarted(container: ContainerRecord): boolean {
  return !isCreated(container) || !container.startedAt.isZero() || container.error !== '';
}

/** The Engine leaves such a container in `created` with an exit code; it never ran. */
export function startFailed({ startedAt, exitCode, error }: ContainerRecord): boolean {
  return startedAt.isZero() && (exitCode !== 0 || error !== '');
}

/** ListContainers leaves out a container that the Engine is removing: for CRI it is gone. */
export function isListed({ state }: ContainerRecord): boolean {
  return state !== 'removing';
}

/** How far a container has come; each step up is an event of its own. */
export const Stage = { absent: 0, created: 1, started: 2, stopped: 3 } as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

const STAGES: Readonly<Record<EngineState, Stage>> = {
  created: Stage.created,
  unknown: Stage.created,
  running: Stage.started,
  paused: Stage.started,
  restarting: Stage.started,
  removing: Stage.stopped,
  exited: Stage.stopped,
  dead: Stage.stopped,
};

export function stageOf(record: AnyRecord | undefined): Stage {
  if (record === undefined) return Stage.absent;
  return record.kind === 'container' && startFailed(record) ? Stage.stopped : STAGES[record.state];
}
