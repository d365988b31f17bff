import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { abortable, pause } from '../lib/async/abortable';
import { forEachLimited } from '../lib/async/concurrency';
import { withDeadline } from '../lib/async/deadline';
import { hasCode, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ImageRecord } from '../store/records';
import type { Store } from '../store/store';
import type { EngineImageSummary } from '../engine/types';
import { imageFromInspect, namesOf } from '../translate/image/image';

const INSPECT_CONCURRENCY = 8;
/** A healthy Engine lists a thousand images in a second. */
const LIST_MS = 30_000;
/** One image that hangs must not hold up the others. */
const INSPECT_MS = 10_000;
/** The Engine fails a list while it removes an image ("layer does not exist"): ask again, at growing intervals. */
const RETRY_MS = [200, 1_000, 5_000];

export interface ImageSyncParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly logger: Logger;
}

/**
 * Keeps the image table equal to the Engine's. Lists and single looks go on side by side, for either may hang: an answer
 * is left unused where the table has learned something since it was asked for.
 */
export class ImageSync {
  private refreshWanted = false;
  private refreshing = false;
  /** The signal of the connection that asked last. */
  private connection: AbortSignal | undefined;
  private listed = false;
  private tellListed!: () => void;
  private readonly firstList = new Promise<void>((resolve) => (this.tellListed = resolve));
  /** Images whose last inspect failed: told of once, and asked for with each list. */
  private readonly damaged = new Set<string>();

  constructor(private readonly parts: ImageSyncParts) {}

  /** Whether the images were ever listed: before, an image that is not in the store may be on the node. */
  get hasListed(): boolean {
    return this.listed;
  }

  async whenListed(signal: AbortSignal): Promise<void> {
    if (!this.listed) await abortable(this.firstList, signal);
  }

  /**
   * After an image event: a burst of them costs one or two lists. Returns at once.
   * @param signal of the connection that brought the event: the next one starts with a list of its own.
   */
  requestResync(signal: AbortSignal): void {
    this.refreshWanted = true;
    this.connection = signal;
    if (this.refreshing) return;
    this.refreshing = true;
    void this.resyncWhileWanted();
  }

  /** Inspects one image now; undefined, and no record, when the Engine does not have it. */
  async refresh(reference: string, signal?: AbortSignal): Promise<ImageRecord | undefined> {
    const { docker, store } = this.parts;
    const asked = store.images.ask();
    try {
      const image = imageFromInspect(await docker.inspectImage(reference, { signal }));
      if (!store.images.isNewerThan(image.id, asked)) store.images.put(image);
      return store.images.get(image.id);
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** The Engine has confirmed that the image is gone. */
  forget(id: string): void {
    this.parts.store.images.delete(id);
  }

  /** Never rejects. */
  private async resyncWhileWanted(): Promise<void> {
    let failures = 0;
    while (this.refreshWanted && this.connection?.aborted === false) {
      const signal = this.connection;
      this.refreshWanted = false;
      try {
        await this.resync(signal);
        failures = 0;
      } catch (error) {
        // A new connection has asked for a list of its own.
        if (signal.aborted) continue;
        const retryMs = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 0;
        this.parts.logger.warn('Images could not be listed', { error: messageOf(error), retry_ms: retryMs });
        await pause(retryMs, signal);
        this.refreshWanted = true;
      }
    }
    this.refreshing = false;
  }

  /** Lists all images and inspects the new and the changed ones. */
  async resync(parent?: AbortSignal): Promise<void> {
    const { docker, store } = this.parts;
    const asked = store.images.ask();
    const summaries = await withDeadline('The list of images', LIST_MS, parent, (signal) =>
      docker.listImages({ signal }),
    );
    const listed = new Set(summaries.map((summary) => summary.Id));
    for (const { id } of [...store.images.values()])
      if (!listed.has(id) && !store.images.isNewerThan(id, asked)) store.images.delete(id, asked);
    for (const id of this.damaged) if (!listed.has(id)) this.damaged.delete(id);
    const changed = summaries.filter((summary) => !sameNames(store.images.get(summary.Id), summary));
    await forEachLimited(changed, INSPECT_CONCURRENCY, ({ Id }) => this.look(Id, parent));
    this.listed = true;
    this.tellListed();
  }

  /** One damaged image must not hide the others, nor keep the node from being served. */
  private async look(id: string, parent: AbortSignal | undefined): Promise<void> {
    const { store, logger } = this.parts;
    const asked = store.images.ask();
    try {
      const found = await withDeadline('Inspecting an image', INSPECT_MS, parent, (signal) =>
        this.refresh(id, signal),
      );
      // Removed since the list was made.
      if (found === undefined && !store.images.isNewerThan(id, asked)) store.images.delete(id, asked);
      this.damaged.delete(id);
    } catch (error) {
      parent?.throwIfAborted();
      if (hasCode(error, 'UNAVAILABLE')) throw error;
      if (!this.damaged.has(id))
        logger.warn('An image cannot be inspected', { image: id, error: messageOf(error) });
      this.damaged.add(id);
    }
  }
}

function sameNames(known: ImageRecord | undefined, summary: EngineImageSummary): boolean {
  if (known === undefined) return false;
  const { repoTags, repoDigests } = namesOf(summary);
  const named = [...repoTags, ...repoDigests];
  const before = new Set([...known.repoTags, ...known.repoDigests]);
  return named.length === before.size && named.every((name) => before.has(name));
}
