import type { ContainerRecord, EngineState, SandboxRecord } from './records';

/**
 * This file answers all questions about the state of a record, so that a new Engine state is added in one place. ESLint
 * enforces this.
 */
type AnyRecord = SandboxRecord | ContainerRecord;
interface HasState {
  readonly state: EngineState;
}

const STOPPED: readonly EngineState[] = ['created', 'exited', 'dead', 'removing'];

/**
 * Whether the container may be running. True also if it is paused or its state is unknown, because stopping an ended
 * container does no harm.
 */
export function mayRun({ state }: HasState): boolean {
  return !STOPPED.includes(state);
}

/** Whether the container runs, is paused or is being restarted. False if its state is unknown. */
export function certainlyRuns(record: HasState): boolean {
  return mayRun(record) && record.state !== 'unknown';
}

/** Whether the container runs and is not paused, so that the Engine can start commands in it and attach clients to it. */
export function isRunning({ state }: HasState): boolean {
  return state === 'running';
}

export function isPaused({ state }: HasState): boolean {
  return state === 'paused';
}

/** Whether the first process exists. It may be running or frozen. */
export function isAlive(record: HasState): boolean {
  return isRunning(record) || isPaused(record);
}

/** Whether the container has not run yet. A start may be under way, or may have failed. */
export function isCreated({ state }: HasState): boolean {
  return state === 'created';
}

export function hasEnded({ state }: HasState): boolean {
  return state === 'exited' || state === 'dead';
}

/** Whether the container has a process whose usage can be read, which is true while it runs or is paused. */
export function hasProcess(record: AnyRecord): boolean {
  return record.pid !== 0 && isAlive(record);
}

/**
 * Whether the sandbox is CRI's READY: the pause process runs, its network is set up, and no stop of the pod has begun.
 */
export function isReady(sandbox: SandboxRecord): boolean {
  return isAlive(sandbox) && sandbox.networkReady && !sandbox.stopping;
}

/** Whether a start was attempted. True also when it failed, because CRI starts a container only once. */
export function wasStarted(container: ContainerRecord): boolean {
  return !isCreated(container) || !container.startedAt.isZero() || container.error !== '';
}

/**
 * Whether the start failed, so that the container never ran. The Engine leaves such a container in `created` with an exit
 * code or an error.
 */
export function startFailed({ startedAt, exitCode, error }: ContainerRecord): boolean {
  return startedAt.isZero() && (exitCode !== 0 || error !== '');
}

/** Whether ListContainers includes the container. For CRI, a container that the Engine is removing is already gone. */
export function isListed({ state }: ContainerRecord): boolean {
  return state !== 'removing';
}

/** The steps in a container's life. CRI reports each step as an event of its own. */
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
