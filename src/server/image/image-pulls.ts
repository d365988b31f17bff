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

/**
 * Limit of concurrent pulls in the Engine, which downloads three layers at a time for all pulls together. Further pulls
 * wait without a deadline.
 */
const MAX_PULLS = 32;
/** Limit of concurrent look-ups of the node's credentials. It is low, because each look-up may start a process. */
const MAX_LOOK_UPS = 4;

export interface ImagePullsParts {
  readonly docker: DockerClient;
  readonly store: Pick<Store, 'engine'>;
  readonly credentials: Pick<RegistryCredentials, 'find'>;
  /** Limit of the time without progress, in ms; 0 means no limit. */
  readonly progressDeadlineMs: Changing<number>;
  /** How long to look for the cause of a failed pull, in ms. Tests on slow machines use a longer time. */
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
   * Resolves when the Engine has the image. Calls for the same reference and the same credentials share one pull of the
   * Engine. Calls with different credentials never do, so that no call uses another's credentials. A shared pull ends
   * when its last call is cancelled.
   * @param requested the credentials of the request; undefined means the node's credentials, or none.
   * @throws NOT_FOUND, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED or UNAVAILABLE, depending on the cause.
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

/** Returns a hash of credentials for the key of a map. A heap dump or an error may show such keys. */
function fingerprint(auth: EngineAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? null))
    .digest('hex');
}

/**
 * Factor for the deadline while the Engine unpacks. During that time a slow disk can keep the Engine silent, and the
 * registry is not the cause.
 */
const UNPACKING_PATIENCE = 10;
/** Factor for the deadline while a pull waits behind others, so that the others are cancelled first. */
const QUEUE_PATIENCE = 2;

export interface WatchedPull {
  readonly name: string;
  readonly auth: EngineAuth | undefined;
  /** The value of `--image-pull-progress-deadline` in ms; 0 means no deadline. */
  readonly progressDeadlineMs: number;
}

/**
 * When any pull last moved or ended. It is shared, because the Engine's limit of concurrent layers applies to all pulls
 * together.
 */
export class SharedMovement {
  at = -Infinity;

  note(): void {
    this.at = performance.now();
  }
}

/**
 * Pulls an image as long as bytes or statuses change, however slowly.
 * @throws UNAVAILABLE if nothing has changed until the deadline has passed. The deadline is ten times as long after all
 * layers are downloaded. While the layers wait behind those of other pulls, it is twice as long, and the progress of any
 * pull counts.
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
  let progressAt = performance.now();
  const onTimer = (): void => {
    const queuedUntil = movement.at + progressDeadlineMs * QUEUE_PATIENCE;
    const restMs = progress.isQueued ? queuedUntil - performance.now() : 0;
    if (restMs > 0) timer = setTimeout(onTimer, Math.min(restMs, LONGEST_TIMER_MS));
    else giveUp();
  };
  const giveUp = (): void =>
    controller.abort(
      unavailable(
        // A pull that unpacks or is queued has more time than the option says.
        `${name}: the pull was cancelled because it made no progress for ${shortSeconds(performance.now() - progressAt)} s ` +
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
    progressAt = performance.now();
    wind();
  };
  wind();
  try {
    await docker.pullImage(name, auth, onProgress, { signal: controller.signal });
  } finally {
    clearTimeout(timer);
    // The end of a pull counts as movement, because the next pull in the Engine's queue can begin.
    movement.note();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Returns milliseconds as seconds: whole seconds from 10 s on, and two digits below, such as 0.052, 3.1 or 105. */
function shortSeconds(ms: number): number {
  const seconds = ms / 1000;
  return seconds < 10 ? Number(seconds.toPrecision(2)) : Math.round(seconds);
}

/** Statuses of a downloaded layer that the Engine is still processing. */
const AT_WORK = new Set(['Verifying Checksum', 'Download complete', 'Extracting']);
const DONE = new Set(['Pull complete', 'Already exists']);
const HAVE_COME = new Set([...AT_WORK, ...DONE]);
/** The status of a layer that waits for its turn or for its first byte. */
const QUEUED = 'Waiting';
/** The beginning of a status that concerns the image and not a layer. The id of such a message is the tag. */
const ABOUT_THE_IMAGE = 'Pulling from';

/** The progress of a pull, derived from its messages. */
export class PullProgress {
  /** The last status and byte count of each layer. */
  private readonly layers = new Map<string, { readonly status: string; readonly bytes: number }>();
  private lastWord = '';

  /**
   * Records a message.
   * @returns whether a byte count or a status has changed. Some Engines repeat messages while nothing happens.
   */
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

  /** Whether all layers are downloaded and the Engine is unpacking, during which it may send no message for minutes. */
  get isUnpacking(): boolean {
    return this.layersAre((status) => AT_WORK.has(status), DONE);
  }

  /** Whether all layers that are not downloaded yet wait behind those of other pulls. */
  get isQueued(): boolean {
    return this.layersAre((status) => status === QUEUED, HAVE_COME);
  }

  /** Whether the status of at least one layer is `wanted`, and that of every other layer is in `others`. */
  private layersAre(wanted: (status: string) => boolean, others: ReadonlySet<string>): boolean {
    const all = [...this.layers.values()];
    return (
      all.some(({ status }) => wanted(status)) &&
      all.every(({ status }) => wanted(status) || others.has(status))
    );
  }

  /** Returns a text for an error, such as `layers complete: 2 of 5`. */
  describe(): string {
    if (this.layers.size === 0) return 'no layer had begun';
    const done = [...this.layers.values()].filter(({ status }) => DONE.has(status)).length;
    return `layers complete: ${done} of ${this.layers.size}`;
  }
}
