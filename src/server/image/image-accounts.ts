import { randomBytes } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import { forEachLimited } from '../../lib/concurrency';
import { messageOf } from '../../lib/errors';
import { abortable } from '../../lib/keyed-lock';
import type { Logger } from '../../lib/logger';
import { parseAccounts, type Accounts } from '../../translate/accounts';
import type { EngineContainerSummary } from '../../translate/engine';
import { TYPE_LABEL } from '../../translate/labels';

/** Images remembered; each is some kilobytes. */
const MAX_IMAGES = 500;
const PROBE_NAME = 'dockbridge-probe-';
const PROBE_LABEL = 'io.dockbridge.probe';

export interface ImageAccountsParts {
  readonly docker: DockerClient;
  readonly logger: Logger;
}

/**
 * /etc/passwd and /etc/group of images, read once per image from a container that is made for it and never started:
 * the Engine API has no other way to look into an image.
 */
export class ImageAccounts {
  private readonly known = new Map<string, Promise<Accounts>>();
  /** Of this process: probes of any other were left by a daemon that was killed. */
  private readonly owner = randomBytes(8).toString('hex');

  constructor(private readonly parts: ImageAccountsParts) {}

  /** @param imageId not a name, which may mean another image later. */
  of(imageId: string, signal: AbortSignal): Promise<Accounts> {
    return abortable(this.known.get(imageId) ?? this.remember(imageId), signal);
  }

  /** Probes that a killed daemon left. Never rejects. @param all the Engine's containers. */
  async removeLeftovers(all: readonly EngineContainerSummary[]): Promise<void> {
    const left = all.filter(
      ({ Labels, Names, State }) =>
        ![undefined, this.owner].includes(Labels?.[PROBE_LABEL]) &&
        // Labels may be the image's own; a name is not, and a probe never runs.
        State === 'created' &&
        Names.some((name) => name.startsWith(`/${PROBE_NAME}`)),
    );
    await forEachLimited(left, 1, ({ Id }) => this.remove(Id));
  }

  private remember(imageId: string): Promise<Accounts> {
    const reading = this.read(imageId);
    this.known.set(imageId, reading);
    // The next call tries again.
    reading.catch(() => this.known.delete(imageId));
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MAX_IMAGES) break;
      this.known.delete(oldest);
    }
    return reading;
  }

  /** One reading for all who wait, so not with a caller's signal: each Engine call has its own deadline. */
  private async read(imageId: string): Promise<Accounts> {
    const { docker } = this.parts;
    const id = await docker.createContainer(`${PROBE_NAME}${randomBytes(6).toString('hex')}`, {
      Image: imageId,
      // Never run; an image without a command needs some.
      Entrypoint: ['-'],
      // An image that was made of a pod's container carries its labels.
      Labels: { [PROBE_LABEL]: this.owner, [TYPE_LABEL]: 'probe' },
      HostConfig: { NetworkMode: 'none', LogConfig: { Type: 'none', Config: {} } },
    });
    try {
      const [passwd, group] = await Promise.all([
        docker.readFile(id, '/etc/passwd'),
        docker.readFile(id, '/etc/group'),
      ]);
      return parseAccounts(passwd ?? '', group ?? '');
    } finally {
      await this.remove(id);
    }
  }

  /** What stays is the next daemon's to remove: no reason to fail a container. */
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
