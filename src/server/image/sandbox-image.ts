import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { DockerClient } from '../../docker/client';
import { abortable } from '../../lib/async/abortable';
import { withDeadline } from '../../lib/async/deadline';
import { failedPrecondition, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import type { ImageSync } from '../../sync/image-sync';
import { familiarName, parseReference, type ImageReference } from '../../translate/image/reference';
import type { ImagePulls } from './image-pulls';

/** dockbridge's own pause image, built from `docker/pause`. It needs no registry. */
const OWN_NAME = 'dockbridge.local/pause:1';
/** Limit of a pull. It is short, because a node that cannot reach the registry must not wait long for its first pod. */
const PULL_LIMIT_MS = 30_000;
/** Limit of an import. The image has a few KiB and needs no registry, so the limit is generous. */
const IMPORT_LIMIT_MS = 30_000;

export interface SandboxImageParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly imageSync: ImageSync;
  readonly imagePulls: ImagePulls;
  readonly logger: Logger;
  /** The image from `--pod-infra-container-image`. */
  readonly configured: string;
  /** Path of the root file system of dockbridge's own pause image, which `make build` creates. */
  readonly pauseTar: string;
}

/** The image of the pause containers: the configured image or, if that is not available, dockbridge's own. */
export class SandboxImage {
  readonly configured: string;
  private readonly reference: ImageReference;
  private pending: Promise<string> | undefined;

  constructor(private readonly parts: SandboxImageParts) {
    this.reference = parseReference(parts.configured, '--pod-infra-container-image');
    this.configured = familiarName(this.reference);
  }

  /**
   * Returns the name of the image for sandboxes. Makes no call if the image is on the node, as it is after the first pod.
   * @throws FAILED_PRECONDITION if neither the configured image nor dockbridge's own is available.
   */
  async ensure(signal: AbortSignal): Promise<string> {
    const present = this.present();
    if (present !== undefined) return present;
    // All waiting pods share one attempt, so no pod's signal ends it.
    this.pending ??= this.obtain().finally(() => (this.pending = undefined));
    return abortable(this.pending, signal);
  }

  /** Whether kubelet's image garbage collection must not remove this image. */
  isPinned(image: ImageRecord): boolean {
    const names = [...image.repoTags, ...image.repoDigests];
    return names.includes(this.configured) || names.includes(OWN_NAME);
  }

  private present(): string | undefined {
    return [this.configured, OWN_NAME].find((name) => this.parts.store.images.byName(name) !== undefined);
  }

  private async obtain(): Promise<string> {
    const { imagePulls, imageSync, logger } = this.parts;
    // Before the first list, the store does not know which images are on the node, so the Engine is asked before a pull.
    if (!imageSync.hasListed)
      for (const name of [this.configured, OWN_NAME])
        if ((await imageSync.refresh(name)) !== undefined) return name;
    logger.info(
      'Pulling the sandbox image; if no registry gives it in time, the pause image of dockbridge is imported',
      {
        image: this.configured,
        limitMs: PULL_LIMIT_MS,
      },
    );
    try {
      await withDeadline(`Pull of ${this.configured}`, PULL_LIMIT_MS, undefined, (signal) =>
        imagePulls.pull(this.reference, undefined, signal),
      );
      if ((await imageSync.refresh(this.configured)) !== undefined) return this.configured;
    } catch (error) {
      logger.warn("Cannot pull the configured sandbox image; using dockbridge's own pause image", {
        image: this.configured,
        error: messageOf(error),
      });
    }
    return this.importOwn();
  }

  private async importOwn(): Promise<string> {
    const { docker, imageSync, pauseTar } = this.parts;
    try {
      // The file is read first, so that a missing file does not look like a failure of the Engine.
      const tar = Readable.from(await readFile(pauseTar));
      await withDeadline(`Import of ${OWN_NAME}`, IMPORT_LIMIT_MS, undefined, (signal) =>
        docker.importImage(tar, OWN_NAME, ['ENTRYPOINT ["/pause"]'], { signal }),
      );
    } catch (error) {
      throw failedPrecondition(
        `no sandbox image: ${this.configured} cannot be pulled, and dockbridge's own in ${pauseTar} cannot be imported: ${messageOf(error)}`,
      );
    }
    await imageSync.refresh(OWN_NAME);
    return OWN_NAME;
  }
}
