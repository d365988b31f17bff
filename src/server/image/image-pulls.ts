import { createHash } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import type { EngineAuth, EngineProgress } from '../../engine/types';
import { LONGEST_TIMER_MS, sharedAbortController } from '../../lib/async/deadline';
import { valueNow, type Changing } from '../../lib/changing';
import { Semaphore } from '../../lib/async/concurrency';
import { SharedWork } from '../../lib/async/shared-work';
import { unavailable } from '../../lib/errors';
import type { RegistryCredentials } from '../../registry/credentials';
import type { Store } from '../../store/store';
import { familiarName, type ImageReference } from '../../translate/image/reference';
import { explainPullFailure } from './pull-failure';

/** Concurrent pulls in the Engine, which loads three layers at a time for all of them. Other pulls wait without a deadline. */
const MAX_PULLS = 32;
/** Concurrent look-ups of the node's credentials: each may start a process. */
const MAX_LOOK_UPS = 4;

export interface ImagePullsParts {
  readonly docker: DockerClient;
  readonly store: Pick<Store, 'engine'>;
  readonly credentials: Pick<RegistryCredentials, 'find'>;
  /** In ms; 0 means no deadline. */
  readonly progressDeadlineMs: Changing<number>;
  /** Time for finding out why a pull failed, in ms; tests on slow machines use more. */
  readonly questionsMs?: number | undefined;
}

/** All pulls of images go through this class. */
export class ImagePulls {
  private readonly running = new SharedWork<void>();
  private readonly lookUps = new Semaphore(MAX_LOOK_UPS);
  private readonly turns = new Semaphore(MAX_PULLS);
  private readonly movement = new SharedMovement();

  constructor(private readonly parts: ImagePullsParts) {}

  /**
   * Resolves when the Engine has the image. Pulls of one reference share one Engine pull, but only with the same
   * credentials, so that no pull uses another's. It ends when the last of them is cancelled.
   * @param requested credentials; undefined means those of the node, or none.
   * @throws NOT_FOUND, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE, depending on the cause.
   */
  async pull(
    reference: ImageReference,
    requested: EngineAuth | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { docker, store, credentials, questionsMs } = this.parts;
    const progressDeadlineMs = valueNow(this.parts.progressDeadlineMs);
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

/** Keeps secrets out of the keys of a map, which a heap dump or an error might show. */
function fingerprint(auth: EngineAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? null))
    .digest('hex');
}

/** Factor for the deadline while the Engine unpacks: a slow disk keeps it silent, and the registry is not the cause. */
const UNPACKING_PATIENCE = 10;
/** Factor for the deadline while a pull waits behind others, so that those are cancelled first. */
const QUEUE_PATIENCE = 2;

export interface WatchedPull {
  readonly name: string;
  readonly auth: EngineAuth | undefined;
  /** `--image-pull-progress-deadline`, ms; 0 never gives up. */
  readonly progressDeadlineMs: number;
}

/** When any pull last moved or ended: the Engine's limit of concurrent layers is one for all pulls. */
export class SharedMovement {
  at = -Infinity;

  note(): void {
    this.at = performance.now();
  }
}

/**
 * Pulls as long as bytes or statuses move, however slowly.
 * @throws UNAVAILABLE if nothing has moved for the deadline. The deadline is ten times as long once all layers are
 * downloaded. While they wait behind those of other pulls, it is twice as long and any pull's movement counts.
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
    // This pull no longer holds up others.
    movement.note();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Statuses of a downloaded layer on which the Engine still works. */
const AT_WORK = new Set(['Verifying Checksum', 'Download complete', 'Extracting']);
const DONE = new Set(['Pull complete', 'Already exists']);
const HAVE_COME = new Set([...AT_WORK, ...DONE]);
/** The status of a layer that waits for its turn, or for its first byte. */
const QUEUED = 'Waiting';
/** A status of the image, whose id is the tag, and not of a layer. */
const ABOUT_THE_IMAGE = 'Pulling from';

/** The progress of a pull, from its messages. */
export class PullProgress {
  /** The last status and byte count of each layer. */
  private readonly layers = new Map<string, { readonly status: string; readonly bytes: number }>();
  private lastWord = '';

  /** @returns whether a byte or a status has moved; some Engines repeat themselves while nothing happens. */
  note({ id = '', status = '', progressDetail }: EngineProgress): boolean {
    if (id === '' || status.startsWith(ABOUT_THE_IMAGE)) {
      const moved = status !== this.lastWord;
      this.lastWord = status;
      return moved;
    }
    const bytes = progressDetail?.current ?? 0;
    const before = this.layers.get(id);
    this.layers.set(id, { status, bytes });
    return before?.status !== status || before.bytes !== bytes;
  }

  /** Whether all layers are downloaded and the Engine unpacks them, which may produce no message for minutes. */
  get isUnpacking(): boolean {
    return this.layersAre((status) => AT_WORK.has(status), DONE);
  }

  /** Whether all layers that are not downloaded wait behind those of other pulls. */
  get isQueued(): boolean {
    return this.layersAre((status) => status === QUEUED, HAVE_COME);
  }

  /** Whether some layers are as `wanted`, and all others in one of these states. */
  private layersAre(wanted: (status: string) => boolean, others: ReadonlySet<string>): boolean {
    const all = [...this.layers.values()];
    return (
      all.some(({ status }) => wanted(status)) &&
      all.every(({ status }) => wanted(status) || others.has(status))
    );
  }

  /** For the text of an error: `2 of 5 layers are complete`. */
  describe(): string {
    if (this.layers.size === 0) return 'no layer was begun';
    const done = [...this.layers.values()].filter(({ status }) => DONE.has(status)).length;
    return `${done} of ${this.layers.size} layers were complete`;
  }
}
