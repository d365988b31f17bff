import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { Semaphore } from '../lib/async/concurrency';
import type { WritableStore } from '../store/store';
import type { EngineContainerSummary, EngineEvent } from '../engine/types';
import { TYPE_LABEL } from '../translate/shared/labels';
import { withoutSlash } from '../translate/shared/names';

/**
 * The number of inspects at once. It is low, because another client may start hundreds of containers at once, and none of
 * them is urgent.
 */
const INSPECT_CONCURRENCY = 4;

export interface ForeignContainersParts {
  readonly docker: DockerClient;
  readonly store: Pick<WritableStore, 'foreign'>;
  readonly logger: Logger;
}

/**
 * Keeps `store.foreign` up to date: the containers that `docker run` and other clients created. Their images are pinned,
 * because kubelet's image garbage collection knows only the images of its own pods.
 */
export class ForeignContainers {
  private readonly turns = new Semaphore(INSPECT_CONCURRENCY);

  constructor(private readonly parts: ForeignContainersParts) {}

  /** Applies an event and returns at once. */
  handle(event: EngineEvent, signal: AbortSignal): void {
    const { ID: id, Attributes: attributes } = event.Actor;
    if (event.Action === 'destroy') this.parts.store.foreign.delete(id);
    // A container that has a pod's labels but no pod is recognized later, when it is inspected as a pod's container.
    if (event.Action === 'create' && attributes[TYPE_LABEL] === undefined) void this.learn(id, signal);
  }

  /** Inspects a container and puts its record. Never rejects, because the next list makes up for a failure. */
  private async learn(id: string, signal: AbortSignal): Promise<void> {
    const { docker, store, logger } = this.parts;
    try {
      const container = await this.turns.run(() => docker.inspectContainer(id, { signal }), signal);
      store.foreign.put({ id, engineName: withoutSlash(container.Name), imageId: container.Image });
    } catch (error) {
      if (signal.aborted || hasStatus(error, 404)) return;
      logger.warn('Cannot inspect a container outside any pod', {
        container: id,
        error: messageOf(error),
      });
    }
  }

  /**
   * Makes `store.foreign` agree with a list of all containers.
   * @param revision the table's revision before the list was requested. Entries that changed later are not deleted.
   */
  keepListed(all: readonly EngineContainerSummary[], revision: number): void {
    const { foreign } = this.parts.store;
    const listed = new Set(all.map(({ Id }) => Id));
    for (const { id } of [...foreign.values()])
      if (!listed.has(id) && !foreign.isNewerThan(id, revision)) foreign.delete(id);
    for (const { Id: id, Names, ImageID: imageId, Labels } of all)
      if (Labels?.[TYPE_LABEL] === undefined)
        foreign.put({ id, engineName: withoutSlash(Names[0] ?? id), imageId });
  }
}
