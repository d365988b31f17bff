import { randomBytes } from 'node:crypto';
import type { DockerClient } from '../../docker/client';
import { messageOf } from '../../lib/errors';
import { abortable } from '../../lib/keyed-lock';
import type { Logger } from '../../lib/logger';
import { parseAccounts, type Accounts } from '../../translate/accounts';
import { TYPE_LABEL } from '../../translate/labels';

/** Images remembered; each is some kilobytes. */
const MAX_IMAGES = 500;
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
  private swept = false;
  /** Of this process: probes of any other were left by a daemon that was killed. */
  private readonly owner = randomBytes(8).toString('hex');

  constructor(private readonly parts: ImageAccountsParts) {}

  /** @param imageId not a name, which may mean another image later. */
  of(imageId: string, signal: AbortSignal): Promise<Accounts> {
    return abortable(this.known.get(imageId) ?? this.remember(imageId), signal);
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
    const { docker, logger } = this.parts;
    await this.sweep();
    const id = await docker.createContainer(`dockbridge-probe-${randomBytes(6).toString('hex')}`, {
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
      // The next daemon's sweep finds what stays: no reason to fail a container.
      await docker.removeContainer(id).catch((error: unknown) => {
        logger.warn('A probe of an image cannot be removed', {
          container: id,
          error: messageOf(error),
        });
      });
    }
  }

  private async sweep(): Promise<void> {
    if (this.swept) return;
    this.swept = true;
    const { docker, logger } = this.parts;
    try {
      for (const { Id, Labels } of await docker.listContainers({ label: [PROBE_LABEL] }))
        if (Labels?.[PROBE_LABEL] !== this.owner) await docker.removeContainer(Id);
    } catch (error) {
      logger.debug(() => `No look for old probes: ${messageOf(error)}`);
    }
  }
}
