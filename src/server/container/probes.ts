import { randomBytes } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import type { EngineContainerCreate, EngineContainerSummary } from '../../engine/types';
import { abortable } from '../../lib/async/abortable';
import { forEachLimited } from '../../lib/async/concurrency';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { parseAccounts, type Accounts } from '../../translate/shared/user';
import { TYPE_LABEL } from '../../translate/shared/labels';
import { withoutSlash } from '../../translate/shared/names';

const PROBE_NAME = 'dockbridge-probe-';
const PROBE_LABEL = 'io.dockbridge.probe';

export interface ProbesParts {
  readonly docker: DockerClient;
  readonly logger: Logger;
}

/** The fields of a create request that a probe may have. */
export interface ProbeBody extends Pick<EngineContainerCreate, 'Image'> {
  readonly HostConfig?: Pick<EngineContainerCreate['HostConfig'], 'Mounts' | 'Binds'>;
}

/**
 * Containers that are created, but never started, to read files of an image. The Engine API offers no other way to read
 * them.
 */
export class Probes {
  /** Identifies this process. It is in the label of each probe, so that people can see which process made the probe. */
  private readonly owner = randomBytes(8).toString('hex');
  /** Names of the probes in use. */
  private readonly active = new Set<string>();

  constructor(private readonly parts: ProbesParts) {}

  /** Calls `look` with the id of a new probe, and removes the probe afterwards. Each Engine call has its own deadline. */
  async with<T>(body: ProbeBody, look: (id: string) => Promise<T>): Promise<T> {
    const name = `${PROBE_NAME}${randomBytes(6).toString('hex')}`;
    this.active.add(name);
    try {
      return await this.withNamed(name, body, look);
    } finally {
      this.active.delete(name);
    }
  }

  private async withNamed<T>(
    name: string,
    { Image, HostConfig = {} }: ProbeBody,
    look: (id: string) => Promise<T>,
  ): Promise<T> {
    const id = await this.parts.docker.createContainer(name, {
      Image,
      // The command is never run, but the Engine requires one if the image has none.
      Entrypoint: ['-'],
      // This label overrides the label of an image that was committed from a pod's container.
      Labels: { [PROBE_LABEL]: this.owner, [TYPE_LABEL]: 'probe' },
      HostConfig: { ...HostConfig, NetworkMode: 'none', LogConfig: { Type: 'none', Config: {} } },
    });
    try {
      return await look(id);
    } finally {
      await this.remove(id);
    }
  }

  /**
   * Removes the probes that a killed daemon left, and those of this process whose create call was cut off or whose
   * removal failed. Never rejects.
   * @param all the Engine's containers.
   */
  async removeLeftovers(all: readonly EngineContainerSummary[]): Promise<void> {
    const left = all.filter(
      ({ Labels, Names, State }) =>
        Labels?.[PROBE_LABEL] !== undefined &&
        !Names.some((name) => this.active.has(withoutSlash(name))) &&
        // A label may come from the image, so the name must match too. A probe never runs, so its state is `created`, or
        // `dead` if dockerd was killed while it removed the probe.
        (State === 'created' || State === 'dead') &&
        Names.some((name) => name.startsWith(`/${PROBE_NAME}`)),
    );
    await forEachLimited(left, 1, ({ Id }) => this.remove(Id));
  }

  /** Removes a probe. A failure is only logged, because the probe is removed after the next list. */
  private async remove(probe: string): Promise<void> {
    try {
      await this.parts.docker.removeContainer(probe);
    } catch (error) {
      this.parts.logger.warn('Cannot remove the probe container of an image', {
        container: probe,
        error: messageOf(error),
      });
    }
  }
}

/** How many images are remembered. Each takes a few kilobytes. */
const MAX_IMAGES = 500;

/** The contents of /etc/passwd and /etc/group of images, read once for each image. */
export class ImageAccounts {
  private readonly known = new Map<string, Promise<Accounts>>();

  constructor(
    private readonly docker: Pick<DockerClient, 'readFile'>,
    private readonly probes: Probes,
  ) {}

  /**
   * Returns the accounts of an image.
   * @param imageId an id, because a name may refer to another image later.
   */
  of(imageId: string, signal: AbortSignal): Promise<Accounts> {
    return abortable(this.known.get(imageId) ?? this.remember(imageId), signal);
  }

  private remember(imageId: string): Promise<Accounts> {
    const reading = this.read(imageId);
    this.known.set(imageId, reading);
    // After a failure, the next call tries again.
    reading.catch(() => this.known.delete(imageId));
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MAX_IMAGES) break;
      this.known.delete(oldest);
    }
    return reading;
  }

  /** Reads both files of an image. The result is shared by all waiting callers, so no caller's signal ends the read. */
  private read(imageId: string): Promise<Accounts> {
    return this.probes.with({ Image: imageId }, async (id) => {
      const [passwd, group] = await Promise.all([
        this.docker.readFile(id, '/etc/passwd'),
        this.docker.readFile(id, '/etc/group'),
      ]);
      return parseAccounts(passwd ?? '', group ?? '');
    });
  }
}
