import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { forEachLimited } from '../lib/concurrency';
import { hasCode, messageOf } from '../lib/errors';
import { KeyedLock } from '../lib/keyed-lock';
import { pause } from '../lib/pause';
import type { Logger } from '../lib/logger';
import type { ImageRecord } from '../store/records';
import type { Store } from '../store/store';
import type { EngineImageSummary } from '../translate/engine';
import { imageFromInspect, namesOf } from '../translate/image';

const INSPECT_CONCURRENCY = 8;
const LOCK = 'images';
/** The Engine fails a list while it removes an image ("layer does not exist"): ask again, at growing intervals. */
const RETRY_MS = [200, 1_000, 5_000];

export interface ImageSyncParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly logger: Logger;
}

/** Keeps the image table equal to the Engine's. One change at a time, so no older list overwrites a newer answer. */
export class ImageSync {
  private readonly lock = new KeyedLock();
  private refreshWanted = false;
  private refreshing = false;

  constructor(private readonly parts: ImageSyncParts) {}

  /** Lists all images and inspects the new and the changed ones. */
  async resync(signal?: AbortSignal): Promise<void> {
    await this.lock.run(LOCK, () => this.resyncLocked(signal), signal);
  }

  /**
   * After an image event: a burst of them costs one or two lists. Returns at once.
   * @param signal of the connection that brought the event: the next one starts with a list of its own.
   */
  requestResync(signal: AbortSignal): void {
    this.refreshWanted = true;
    if (this.refreshing) return;
    this.refreshing = true;
    void this.resyncWhileWanted(signal);
  }

  /** Inspects one image now; undefined, and no record, when the Engine does not have it. */
  async refresh(reference: string, signal?: AbortSignal): Promise<ImageRecord | undefined> {
    const { docker, store } = this.parts;
    return this.lock.run(
      LOCK,
      async () => {
        try {
          const image = imageFromInspect(await docker.inspectImage(reference, { signal }));
          store.images.put(image);
          return image;
        } catch (error) {
          if (hasStatus(error, 404)) return undefined;
          throw error;
        }
      },
      signal,
    );
  }

  /** The Engine has confirmed that the image is gone. */
  async forget(id: string): Promise<void> {
    await this.lock.run(LOCK, () => {
      this.parts.store.images.delete(id);
      return Promise.resolve();
    });
  }

  /** Never rejects. */
  private async resyncWhileWanted(signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => signal.aborted;
    let failures = 0;
    while (this.refreshWanted && !isOver()) {
      this.refreshWanted = false;
      try {
        await this.resync(signal);
        failures = 0;
      } catch (error) {
        if (isOver()) break;
        const retryMs = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 0;
        this.parts.logger.warn('Images could not be listed', { error: messageOf(error), retry_ms: retryMs });
        await pause(retryMs, signal);
        this.refreshWanted = true;
      }
    }
    this.refreshing = false;
  }

  private async resyncLocked(signal: AbortSignal | undefined): Promise<void> {
    const { docker, store, logger } = this.parts;
    const summaries = await docker.listImages({ signal });
    const listed = new Set(summaries.map((summary) => summary.Id));
    for (const { id } of [...store.images.values()]) if (!listed.has(id)) store.images.delete(id);
    const changed = summaries.filter((summary) => !sameNames(store.images.get(summary.Id), summary));
    await forEachLimited(changed, INSPECT_CONCURRENCY, async (summary) => {
      try {
        store.images.put(imageFromInspect(await docker.inspectImage(summary.Id, { signal })));
      } catch (error) {
        // Removed since the list was made.
        if (hasStatus(error, 404)) store.images.delete(summary.Id);
        // One damaged image must not hide the others, nor keep the node from being served.
        else if (hasCode(error, 'UNAVAILABLE')) throw error;
        else logger.warn('An image cannot be inspected', { image: summary.Id, error: messageOf(error) });
      }
    });
  }
}

function sameNames(known: ImageRecord | undefined, summary: EngineImageSummary): boolean {
  if (known === undefined) return false;
  const { repoTags, repoDigests } = namesOf(summary);
  const named = [...repoTags, ...repoDigests];
  const before = new Set([...known.repoTags, ...known.repoDigests]);
  return named.length === before.size && named.every((name) => before.has(name));
}
