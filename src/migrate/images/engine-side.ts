import { DockerodeClient } from '../../docker/dockerode-client';
import { connectDocker, EngineTransport } from '../../docker/transport';
import type { EngineDiskUsage, EngineImageInspect, EngineInfo, EngineVersion } from '../../engine/types';
import { toFacts } from '../../translate/shared/engine-facts';
import { chosenImages, type ChosenImage, type Selection } from './selection';
import type { Platform } from './manifest';

/** Limit of one short call in ms. */
const REQUEST_MS = 60_000;
/** The namespace in which every Engine so far keeps its images. */
const ENGINE_NAMESPACE = 'moby';

/** What must be known about the Engine. */
export interface EngineKind {
  readonly version: string;
  readonly platform: Platform;
  readonly rootDir: string;
  /** The Engine's containerd, when it stores the images. */
  readonly containerd: { readonly endpoint: string | undefined; readonly namespace: string } | undefined;
}

/** The Engine from which images are carried. */
export class EngineSide {
  private readonly client: DockerodeClient;
  private readonly transport: EngineTransport;

  constructor(endpoint: string) {
    this.client = new DockerodeClient({ endpoint, requestTimeoutMs: REQUEST_MS });
    this.transport = new EngineTransport(connectDocker(endpoint, undefined));
  }

  async kind(): Promise<EngineKind> {
    return engineKind(await this.client.version(), await this.client.info());
  }

  /** @param pulledOf returns the ids of images from registries; undefined if the Engine's digests show where an image is from. */
  async choose(
    selection: Selection,
    pulledOf: (ids: readonly string[]) => Promise<ReadonlySet<string> | undefined>,
  ): Promise<ChosenImage[]> {
    const images = await this.client.listImages();
    const containers = await this.client.listContainers({});
    const pulled = await pulledOf(images.map(({ Id }) => Id));
    return chosenImages(images, containers, selection, pulled);
  }

  /** Returns the digests of an image's uncompressed layers. */
  async diffIds(id: string): Promise<string[]> {
    const image: EngineImageInspect & { RootFS?: { Layers?: string[] | null } } =
      await this.client.inspectImage(id);
    return image.RootFS?.Layers ?? [];
  }

  /** Returns the size in bytes of all layers of all images, each counted once; undefined when the Engine does not report it. */
  async layersSize(): Promise<number | undefined> {
    const request = { method: 'GET', path: '/system/df', query: { type: 'image' } } as const;
    try {
      const { ImageUsage, LayersSize } = await this.transport.json<EngineDiskUsage>(request, REQUEST_MS);
      return ImageUsage?.TotalSize ?? LayersSize;
    } catch {
      // The estimate is then larger. Old Engines refuse this request while they answer it to another client.
      return undefined;
    }
  }

  /** Opens the archive of `docker save`. */
  async archive(id: string, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    return this.transport.stream({ method: 'GET', path: `/images/${encodeURIComponent(id)}/get`, signal });
  }
}

export function engineKind(version: EngineVersion, info: EngineInfo): EngineKind {
  const { containerdStore } = toFacts(version, info);
  const { Address: address = '', Namespaces: namespaces } = info.Containerd ?? {};
  return {
    version: version.Version,
    platform: { os: version.Os, architecture: version.Arch },
    rootDir: info.DockerRootDir,
    containerd: containerdStore
      ? {
          endpoint: address === '' ? undefined : `unix://${address}`,
          namespace: namespaces?.Containers ?? ENGINE_NAMESPACE,
        }
      : undefined,
  };
}
