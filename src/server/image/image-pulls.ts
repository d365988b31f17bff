import { createHash } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import { valueNow, type Changing } from '../../lib/changing';
import { Semaphore } from '../../lib/async/semaphore';
import { SharedWork } from '../../lib/async/shared-work';
import type { Store } from '../../store/store';
import type { EngineAuth } from '../../engine/types';
import { familiarName, type ImageReference } from '../../translate/image/reference';
import { explainPullFailure } from './pull-failure';
import type { RegistryCredentials } from '../../registry/credentials';
import { pullWhileItMoves, SharedMovement } from './watched-pull';

/** Engine pulls at a time, of which the Engine loads three layers at a time in all. More wait their turn, untimed. */
const MAX_PULLS = 32;
/** For credentials of the node at a time: each may be a process. */
const MAX_LOOK_UPS = 4;

export interface ImagePullsParts {
  readonly docker: DockerClient;
  readonly store: Pick<Store, 'engine'>;
  readonly credentials: Pick<RegistryCredentials, 'find'>;
  /** ms, 0 is none. */
  readonly progressDeadlineMs: Changing<number>;
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

/** So that no key of a map, which a heap dump or an error might show, is a secret. */
function fingerprint(auth: EngineAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? null))
    .digest('hex');
}
