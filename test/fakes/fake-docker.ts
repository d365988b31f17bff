import { PassThrough, type Readable } from 'node:stream';
import type { CallOptions, DockerClient } from '../../src/docker/client';
import { EngineError } from '../../src/docker/errors';
import { unavailable } from '../../src/lib/errors';
import type {
  EngineContainerInspect,
  EngineContainerSummary,
  EngineEvent,
  EngineImageInspect,
  EngineImageSummary,
  EngineInfo,
  EngineVersion,
} from '../../src/engine/types';

/** A client on which only `methods` work. Every other method throws. */
export function fakeDocker(methods: Partial<DockerClient>): DockerClient {
  return new Proxy(methods, {
    get: (target, name): unknown =>
      Reflect.get(target, name) ??
      (() => {
        throw new Error(`not implemented: ${String(name)}`);
      }),
  }) as DockerClient;
}

/**
 * An Engine in memory. Lists and inspects return its objects, and `emit` sends an event to all subscribers.
 * Each call is recorded, and `gates` can delay or fail the next calls.
 */
export class FakeEngine {
  readonly containers = new Map<string, EngineContainerInspect>();
  readonly images = new Map<string, EngineImageInspect>();
  /** `method argument`, in the order of arrival. */
  readonly calls: string[] = [];
  /** Awaited after a call has arrived and before it is answered, by `method argument` or `method`. */
  readonly gates = new Map<string, () => Promise<void>>();
  /** The answer to `/info`. */
  facts: EngineInfo = INFO;
  down = false;
  private readonly feeds = new Set<PassThrough>();

  readonly client: DockerClient = fakeDocker({
    ping: (options) => this.answer('ping', '', options, () => undefined),
    version: (options) => this.answer('version', '', options, () => VERSION),
    info: (options) => this.answer('info', '', options, () => this.facts),
    events: (_, options) => this.answer('events', '', options, () => this.subscribe(options?.signal)),
    listContainers: (_, options) => this.answer('listContainers', '', options, () => this.summaries()),
    inspectContainer: (id, options) => this.answer('inspectContainer', id, options, () => this.find(id)),
    stopContainer: (id, _, options) => this.answer('stopContainer', id, options, () => undefined),
    killContainer: (id, options) => this.answer('killContainer', id, options, () => undefined),
    listImages: (options) => this.answer('listImages', '', options, () => this.imageSummaries()),
    inspectImage: (id, options) => this.answer('inspectImage', id, options, () => this.findImage(id)),
  });

  /** Returns the number of calls of one method so far. */
  count(method: string): number {
    return this.calls.filter((call) => call.split(' ')[0] === method).length;
  }

  /** Sends an event to all subscribers. */
  emit(event: EngineEvent): void {
    for (const feed of this.feeds) feed.write(`${JSON.stringify(event)}\n`);
  }

  get subscribers(): number {
    return this.feeds.size;
  }

  /** Stops dockerd: streams end, and calls fail. */
  stop(): void {
    this.down = true;
    for (const feed of this.feeds) feed.end();
    this.feeds.clear();
  }

  start(): void {
    this.down = false;
  }

  private async answer<T>(
    method: string,
    argument: string,
    options: CallOptions | undefined,
    work: () => T,
  ): Promise<T> {
    const call = `${method} ${argument}`.trim();
    this.calls.push(call);
    await new Promise((resolve) => setImmediate(resolve));
    await this.untilAborted((this.gates.get(call) ?? this.gates.get(method))?.(), options?.signal);
    options?.signal?.throwIfAborted();
    if (this.down) throw unavailable('Docker Engine does not answer (ECONNREFUSED): is dockerd running?');
    return work();
  }

  private async untilAborted(
    gate: Promise<void> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (gate === undefined) return;
    // The promise may reject when nobody waits any more.
    gate.catch(() => undefined);
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      gate.then(resolve, reject);
    });
  }

  private subscribe(signal: AbortSignal | undefined): Readable {
    const feed = new PassThrough();
    this.feeds.add(feed);
    signal?.addEventListener('abort', () => {
      this.feeds.delete(feed);
      feed.destroy(signal.reason as Error);
    });
    return feed;
  }

  private summaries(): EngineContainerSummary[] {
    return [...this.containers.values()].map((inspect) => ({
      Id: inspect.Id,
      Names: [inspect.Name],
      ImageID: inspect.Image,
      Image: inspect.Config.Image,
      Created: Math.floor(Date.parse(inspect.Created) / 1000),
      State: inspect.State.Status,
      Labels: inspect.Config.Labels ?? null,
    }));
  }

  private find(idOrName: string): EngineContainerInspect {
    const found =
      this.containers.get(idOrName) ??
      [...this.containers.values()].find(({ Name }) => Name === `/${idOrName}`);
    if (found === undefined) throw new EngineError('NOT_FOUND', 404, `No such container: ${idOrName}`);
    return structuredClone(found);
  }

  private imageSummaries(): EngineImageSummary[] {
    return [...this.images.values()].map(({ Id, RepoTags = null, RepoDigests = null, Size }) => ({
      Id,
      RepoTags,
      RepoDigests,
      Size,
    }));
  }

  private findImage(reference: string): EngineImageInspect {
    const found =
      this.images.get(reference) ??
      [...this.images.values()].find(({ RepoTags }) => RepoTags?.includes(reference) === true);
    if (found === undefined) throw new EngineError('NOT_FOUND', 404, `No such image: ${reference}`);
    return structuredClone(found);
  }
}

const VERSION: EngineVersion = { Version: '20.10.24', ApiVersion: '1.41', Os: 'linux', Arch: 'amd64' };

export const INFO: EngineInfo = {
  ID: 'ENGINE',
  DockerRootDir: '/var/lib/docker',
  CgroupDriver: 'systemd',
  Driver: 'overlay2',
  DefaultRuntime: 'runc',
  Runtimes: { runc: {}, kata: {} },
  SecurityOptions: ['name=apparmor', 'name=seccomp,profile=default'],
  OperatingSystem: 'Debian GNU/Linux 12 (bookworm)',
  KernelVersion: '6.1.0',
};
