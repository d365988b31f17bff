import type { DockerClient } from '../../docker/client';
import { type Accounts, parseAccounts } from '../../translate/shared/user';
import type { Probes } from '../container/probes';
import { abortable } from '../../lib/async/abortable';

/** Number of images that are remembered; each takes a few kilobytes. */
const MAX_IMAGES = 500;

/** /etc/passwd and /etc/group of images, read once per image. */
export class ImageAccounts {
  private readonly known = new Map<string, Promise<Accounts>>();

  constructor(
    private readonly docker: Pick<DockerClient, 'readFile'>,
    private readonly probes: Probes,
  ) {}

  /** @param imageId an id, because a name may mean another image later. */
  of(imageId: string, signal: AbortSignal): Promise<Accounts> {
    return abortable(this.known.get(imageId) ?? this.remember(imageId), signal);
  }

  private remember(imageId: string): Promise<Accounts> {
    const reading = this.read(imageId);
    this.known.set(imageId, reading);
    // After a failure the next call tries again.
    reading.catch(() => this.known.delete(imageId));
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MAX_IMAGES) break;
      this.known.delete(oldest);
    }
    return reading;
  }

  /** Shared by all callers that wait, so it takes no caller's signal. */
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
