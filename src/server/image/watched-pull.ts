import type { DockerClient } from '../../docker/client';
import { sharedAbortController } from '../../lib/deadline';
import { unavailable } from '../../lib/errors';
import type { EngineAuth } from '../../translate/engine';
import { PullProgress } from '../../translate/pull-progress';

/** An unpacking Engine is silent while its disk is slow: that is no stall of the registry. */
const UNPACKING_PATIENCE = 10;
/** setTimeout fires at once above it. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface WatchedPull {
  readonly name: string;
  readonly auth: EngineAuth | undefined;
  /** `--image-pull-progress-deadline`, ms; 0 never gives up. */
  readonly progressDeadlineMs: number;
}

/**
 * Pulls, for as long as bytes or statuses move, however slowly.
 * @throws UNAVAILABLE when nothing has moved for the deadline (ten times as long once all layers have come).
 */
export async function pullWhileItMoves(
  docker: DockerClient,
  { name, auth, progressDeadlineMs }: WatchedPull,
  signal: AbortSignal,
): Promise<void> {
  const controller = sharedAbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  const progress = new PullProgress();
  const giveUp = (): void =>
    controller.abort(
      unavailable(
        `${name}: the pull was cancelled because no byte and no status moved for ${progressDeadlineMs / 1000} s ` +
          `(--image-pull-progress-deadline); ${progress.describe()}`,
      ),
    );
  let timer: NodeJS.Timeout | undefined;
  const wind = (): void => {
    clearTimeout(timer);
    if (progressDeadlineMs === 0) return;
    const patience = progress.isUnpacking ? UNPACKING_PATIENCE : 1;
    timer = setTimeout(giveUp, Math.min(progressDeadlineMs * patience, LONGEST_TIMER_MS));
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', onAbort, { once: true });
  wind();
  try {
    await docker.pullImage(name, auth, (message) => progress.note(message) && wind(), {
      signal: controller.signal,
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
