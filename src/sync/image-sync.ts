import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { abortable, pause } from '../lib/async/abortable';
import { forEachLimited } from '../lib/async/concurrency';
import { withDeadline } from '../lib/async/deadline';
import { hasCode, messageOf } from '../lib/errors';
import { KeyedLock } from '../lib/async/keyed-lock';
import type { Logger } from '../lib/logger';
import type { ImageRecord } from '../store/records';
import type { Store } from '../store/store';
import type { EngineImageSummary } from '../engine/types';
import { imageFromInspect, namesOf } from '../translate/image/image';

const INSPECT_CONCURRENCY = 8;
/** A generous limit: a healthy Engine lists a thousand images in a second. */
const LIST_MS = 30_000;
/** A limit for each inspect, so that one image that hangs does not delay the others. */
const INSPECT_MS = 10_000;
/** A list can fail while the Engine removes an image ("layer does not exist"), so it is repeated at growing intervals. */
const RETRY_MS = [200, 1_000, 5_000];

export interface ImageSyncParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly logger: Logger;
}

/**
 * Keeps the image table equal to the Engine's images. Lists and inspects run in parallel, because either may hang. An
 * answer about an image is ignored when the image's entry has changed since the call was made.
 */
export class ImageSync {
  private refreshWanted = false;
  private refreshing = false;
  /** The signal of the connection that last requested a list. */
  private connection: AbortSignal | undefined;
  private listed = false;
  private tellListed!: () => void;
  private readonly firstList = new Promise<void>((resolve) => (this.tellListed = resolve));
  /** Images whose last inspect failed. The failure is logged once, and the image is inspected again after each list. */
  private readonly damaged = new Set<string>();
  private readonly removals = new KeyedLock();

  constructor(private readonly parts: ImageSyncParts) {}

  /**
   * Whether the images have been listed at least once. Before that, the Engine may have an image that the store lacks.
   */
  get hasListed(): boolean {
    return this.listed;
  }

  async whenListed(signal: AbortSignal): Promise<void> {
    if (!this.listed) await abortable(this.firstList, signal);
  }

  /**
   * Lists the images after an image event. Returns at once; a burst of events costs one or two lists.
   * @param signal the signal of the connection that brought the event. The next connection starts with its own list.
   */
  requestResync(signal: AbortSignal): void {
    this.refreshWanted = true;
    this.connection = signal;
    if (this.refreshing) return;
    this.refreshing = true;
    void this.resyncWhileWanted();
  }

  /** Inspects one image now and stores its record. Returns undefined when the Engine does not have the image. */
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

  /**
   * Runs the removal of an image after earlier removals of the same image have ended.
   * @param signal ends the wait, not the removal.
   */
  inTurn(id: string, signal: AbortSignal, remove: () => Promise<void>): Promise<void> {
    return this.removals.run(id, remove, signal);
  }

  /** Removes an image from the table after the Engine has confirmed that it is gone. */
  forget(id: string): void {
    this.parts.store.images.delete(id);
  }

  /** Lists the images until no list is wanted any more. Never rejects. */
  private async resyncWhileWanted(): Promise<void> {
    let failures = 0;
    while (this.refreshWanted && this.connection?.aborted === false) {
      const signal = this.connection;
      this.refreshWanted = false;
      try {
        await this.resync(signal);
        failures = 0;
      } catch (error) {
        // The next connection requests its own list.
        if (signal.aborted) continue;
        const inMs = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 0;
        this.parts.logger.warn('Cannot list images; retrying', { error: messageOf(error), inMs });
        await pause(inMs, signal);
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

  /** Inspects one image. A damaged image must neither hide the others nor keep dockbridge from serving the node. */
  private async look(id: string, parent: AbortSignal | undefined): Promise<void> {
    const { store, logger } = this.parts;
    const asked = store.images.ask();
    try {
      const found = await withDeadline('Inspecting an image', INSPECT_MS, parent, (signal) =>
        this.refresh(id, signal),
      );
      // If nothing was found, the image was removed after the list was made.
      if (found === undefined && !store.images.isNewerThan(id, asked)) store.images.delete(id, asked);
      this.damaged.delete(id);
    } catch (error) {
      parent?.throwIfAborted();
      if (hasCode(error, 'UNAVAILABLE')) throw error;
      if (!this.damaged.has(id))
        logger.warn('Cannot inspect an image', { image: id, error: messageOf(error) });
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
