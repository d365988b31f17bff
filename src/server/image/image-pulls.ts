import { createHash } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import type { EngineAuth, EngineProgress } from '../../engine/types';
import { LONGEST_TIMER_MS, sharedAbortController } from '../../lib/async/deadline';
import { Semaphore } from '../../lib/async/semaphore';
import { SharedWork } from '../../lib/async/shared-work';
import { unavailable } from '../../lib/errors';
import type { RegistryCredentials } from '../../registry/credentials';
import type { Store } from '../../store/store';
import { PullProgress } from '../../translate/image/pull-progress';
import { familiarName, type ImageReference } from '../../translate/image/reference';
import { explainPullFailure } from './pull-failure';

/** Engine pulls at a time, of which the Engine loads three layers at a time in all. More wait their turn, untimed. */
const MAX_PULLS = 32;
/** For credentials of the node at a time: each may be a process. */
const MAX_LOOK_UPS = 4;

export interface ImagePullsParts {
  readonly docker: DockerClient;
  readonly store: Pick<Store, 'engine'>;
  readonly credentials: Pick<RegistryCredentials, 'find'>;
  /** ms, 0 is none. */
  readonly progressDeadlineMs: number;
  /** How long it may take to find out why a pull failed, ms; tests on slow machines give it longer. */
  readonly questionsMs?: number | undefined;
}

/** All pulls of images pass here. */
export class ImagePulls {
  private readonly running = new SharedWork<void>();
  private readonly lookUps = new Semaphore(MAX_LOOK_UPS);
  private readonly turns = new Semaphore(MAX_PULLS);
  private readonly movement = new SharedMovement();

  constructor(private readonly parts: ImagePullsParts) {}

  /**
   * Resolves when the Engine has the image. Pulls of one reference share one Engine pull, but only with the same
   * credentials: nobody may profit from another's. It ends when the last of them is cancelled.
   * @param requested credentials; undefined means those of the node, or none.
   * @throws NOT_FOUND, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE: what was at fault.
   */
  async pull(
    reference: ImageReference,
    requested: EngineAuth | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { docker, store, credentials, progressDeadlineMs, questionsMs } = this.parts;
    const auth = requested ?? (await this.lookUps.run(() => credentials.find(reference, signal), signal));
    const name = familiarName(reference);
    await this.running.join(`${name} ${fingerprint(auth)}`, signal, (last) =>
      this.turns.run(async () => {
        const platform = store.engine?.platform;
        try {
          await pullWhileItMoves(docker, { name, auth, progressDeadlineMs }, this.movement, last);
        } catch (error) {
          throw await explainPullFailure(docker, { reference, auth, platform }, error, last, questionsMs);
        }
      }, last),
    );
  }
}

/** So that no key of a map, which a heap dump or an error might show, is a secret. */
function fingerprint(auth: EngineAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? null))
    .digest('hex');
}

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
