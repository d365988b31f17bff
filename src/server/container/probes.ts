import { randomBytes } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import { forEachLimited } from '../../lib/async/concurrency';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { EngineContainerCreate, EngineContainerSummary } from '../../engine/types';
import { TYPE_LABEL } from '../../translate/shared/labels';
import { withoutSlash } from '../../translate/shared/names';

const PROBE_NAME = 'dockbridge-probe-';
const PROBE_LABEL = 'io.dockbridge.probe';

export interface ProbesParts {
  readonly docker: DockerClient;
  readonly logger: Logger;
}

/** What a probe is made of. */
export interface ProbeBody extends Pick<EngineContainerCreate, 'Image'> {
  readonly HostConfig?: Pick<EngineContainerCreate['HostConfig'], 'Mounts' | 'Binds'>;
}

/** Containers that are made to be looked into and are never started: the Engine API has no other way to an image. */
export class Probes {
  /** Names this process: probes of any other owner were left by a daemon that was killed. */
  private readonly owner = randomBytes(8).toString('hex');
  /** Names of those that are being made or looked into. */
  private readonly active = new Set<string>();

  constructor(private readonly parts: ProbesParts) {}

  /** Gives `look` the id of a probe, which is removed after it. Each Engine call has its own deadline. */
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
      // Never run; an image without a command needs some.
      Entrypoint: ['-'],
      // An image that was made of a pod's container carries its labels.
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
   * Probes that a killed daemon left, and those of ours whose create was torn or that could not be removed. Never rejects.
   * @param all the Engine's containers.
   */
  async removeLeftovers(all: readonly EngineContainerSummary[]): Promise<void> {
    const left = all.filter(
      ({ Labels, Names, State }) =>
        Labels?.[PROBE_LABEL] !== undefined &&
        !Names.some((name) => this.active.has(withoutSlash(name))) &&
        // Labels may be the image's own; a name is not, and a probe never runs. It is dead when dockerd was killed while it
        // removed the probe.
        (State === 'created' || State === 'dead') &&
        Names.some((name) => name.startsWith(`/${PROBE_NAME}`)),
    );
    await forEachLimited(left, 1, ({ Id }) => this.remove(Id));
  }

  /** What stays is removed after the next list: no reason to fail a container. */
  private async remove(probe: string): Promise<void> {
    try {
      await this.parts.docker.removeContainer(probe);
    } catch (error) {
      this.parts.logger.warn('A probe of an image cannot be removed', {
        container: probe,
        error: messageOf(error),
      });
    }
  }
}
