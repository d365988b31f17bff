import type { DockerClient } from '../../docker/client';
import { LONGEST_TIMER_MS, sharedAbortController } from '../../lib/async/deadline';
import { unavailable } from '../../lib/errors';
import type { EngineAuth, EngineProgress } from '../../engine/types';
import { PullProgress } from '../../translate/image/pull-progress';

/** An unpacking Engine is silent while its disk is slow: that is no stall of the registry. */
const UNPACKING_PATIENCE = 10;
/** In deadlines, for a pull behind others: those that hold it up are given up first. */
const QUEUE_PATIENCE = 2;

export interface WatchedPull {
  readonly name: string;
  readonly auth: EngineAuth | undefined;
  /** `--image-pull-progress-deadline`, ms; 0 never gives up. */
  readonly progressDeadlineMs: number;
}

/** When any of all pulls has moved last, or ended: the Engine has one limit of layers at a time for all of them. */
export class SharedMovement {
  at = -Infinity;

  note(): void {
    this.at = performance.now();
  }
}

/**
 * Pulls, for as long as bytes or statuses move, however slowly.
 * @throws UNAVAILABLE when nothing has moved for the deadline: ten times as long once all layers have come; while they
 * wait behind those of other pulls, when no pull at all has moved for twice as long.
 */
export async function pullWhileItMoves(
  docker: DockerClient,
  { name, auth, progressDeadlineMs }: WatchedPull,
  movement: SharedMovement,
  signal: AbortSignal,
): Promise<void> {
  const controller = sharedAbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  const progress = new PullProgress();
  let timer: NodeJS.Timeout | undefined;
  const onTimer = (): void => {
    const queuedUntil = movement.at + progressDeadlineMs * QUEUE_PATIENCE;
    const restMs = progress.isQueued ? queuedUntil - performance.now() : 0;
    if (restMs > 0) timer = setTimeout(onTimer, Math.min(restMs, LONGEST_TIMER_MS));
    else giveUp();
  };
  const giveUp = (): void =>
    controller.abort(
      unavailable(
        `${name}: the pull was cancelled because no byte and no status moved for ${progressDeadlineMs / 1000} s ` +
          `(--image-pull-progress-deadline); ${progress.describe()}`,
      ),
    );
  const wind = (): void => {
    clearTimeout(timer);
    if (progressDeadlineMs === 0) return;
    const patience = progress.isUnpacking ? UNPACKING_PATIENCE : 1;
    timer = setTimeout(onTimer, Math.min(progressDeadlineMs * patience, LONGEST_TIMER_MS));
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', onAbort, { once: true });
  const onProgress = (message: EngineProgress): void => {
    if (!progress.note(message)) return;
    movement.note();
    wind();
  };
  wind();
  try {
    await docker.pullImage(name, auth, onProgress, { signal: controller.signal });
  } finally {
    clearTimeout(timer);
    // Its place is free.
    movement.note();
    signal.removeEventListener('abort', onAbort);
  }
}
