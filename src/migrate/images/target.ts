import { setTimeout as pause } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import { failedPrecondition, hasCode, messageOf, unavailable } from '../../lib/errors';
import { CriClient } from '../../server/client/cri-client';
import { wholeChain, type Chain } from './chain';
import { ContainerdConnection } from './containerd/connection';
import { ContainerdContent } from './containerd/content-store';
import { crioStorage, type CrioStorage } from './crio-storage';
import type { Descriptor, Platform } from './manifest';

/** CRI sees only this namespace of containerd. */
export const CRI_NAMESPACE = 'k8s.io';
const CONTENT_PLUGIN = 'io.containerd.content.v1';
/** containerd's CRI plugin learns of new images from events, which takes a moment. */
const CRI_MS = 10_000;
const RETRY_MS = 50;

/** What listens at the target's socket. */
export type TargetKind =
  | { readonly runtime: 'containerd'; readonly version: string; readonly hasCri: boolean }
  | { readonly runtime: 'cri-o' | 'other'; readonly version: string };

/** The runtime to which images are carried. */
export class Target {
  private readonly cri: CriClient;
  readonly connection: ContainerdConnection;
  readonly content: ContainerdContent;

  constructor(
    readonly endpoint: string,
    lease?: string,
  ) {
    this.cri = new CriClient(endpoint);
    this.connection = new ContainerdConnection(endpoint);
    this.content = new ContainerdContent(this.connection, { namespace: CRI_NAMESPACE, lease });
  }

  /** @throws UNAVAILABLE when nothing answers. */
  async kind(): Promise<TargetKind> {
    const version = await this.criVersion();
    try {
      const { version: ours } = await this.connection.call('version', {}, { namespace: CRI_NAMESPACE });
      return { runtime: 'containerd', version: ours, hasCri: version !== undefined };
    } catch (error) {
      if (version === undefined || !hasCode(error, 'UNIMPLEMENTED'))
        throw unavailable(`no container runtime answers at ${this.endpoint}: ${messageOf(error)}`);
    }
    const runtime = version.runtime_name === 'cri-o' ? 'cri-o' : 'other';
    return { runtime, version: `${version.runtime_name} ${version.runtime_version}` };
  }

  /** Returns the directory of containerd's content store; undefined when containerd does not report it. */
  async contentRoot(): Promise<string | undefined> {
    const request = { filters: [`type==${CONTENT_PLUGIN}`] };
    const { plugins } = await this.connection.call('plugins', request, { namespace: CRI_NAMESPACE });
    return plugins.map(({ exports }) => exports.root).find((root) => root !== undefined && root !== '');
  }

  /** Returns the digest to which the image record leads; undefined when there is no record of this name. */
  async record(name: string): Promise<string | undefined> {
    try {
      const { image } = await this.connection.call('getImage', { name }, { namespace: CRI_NAMESPACE });
      return image?.target?.digest;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Returns the image under this name; undefined when it is missing or incomplete. */
  async image(name: string, platform: Platform): Promise<Chain | undefined> {
    const digest = await this.record(name);
    return digest === undefined ? undefined : wholeChain(this.content, digest, platform);
  }

  /** Makes a name lead to an image. A record of this name that leads elsewhere is changed. */
  async setRecord(name: string, { mediaType, digest, size }: Descriptor): Promise<void> {
    const image = { name, target: { media_type: mediaType, digest, size } };
    const place = { namespace: CRI_NAMESPACE };
    try {
      await this.connection.call('createImage', { image }, place);
    } catch (error) {
      if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
      if ((await this.record(name)) === digest) return;
      await this.connection.call('updateImage', { image, update_mask: { paths: ['target'] } }, place);
    }
  }

  /**
   * Waits until CRI answers with this image for a name.
   * @param id the digest of the image's configuration. By default, any image will do.
   * @throws FAILED_PRECONDITION when CRI does not answer with this image within 10 s.
   */
  async verify(name: string, id?: string): Promise<void> {
    let found: string | undefined;
    for (const end = Date.now() + CRI_MS; ;) {
      found = await this.criImage(name);
      if (found !== undefined && (id === undefined || found === id)) return;
      if (Date.now() > end) break;
      await pause(RETRY_MS);
    }
    throw failedPrecondition(
      `ImageStatus of ${name} at ${this.endpoint} answers ${found ?? 'that there is no such image'} instead of ${id ?? 'an image'}`,
    );
  }

  /** Returns the id of an image in CRI, as a digest; undefined when CRI has no such image. */
  async criImage(name: string): Promise<string | undefined> {
    const { image } = await this.cri.call('ImageStatus', { image: { image: name } });
    return image ? digestOfId(image.id) : undefined;
  }

  /** Returns the storage of CRI-O; undefined when its answer does not show the storage. */
  async crioStorage(): Promise<CrioStorage | undefined> {
    const { image_filesystems: images, container_filesystems: containers } = await this.cri.call(
      'ImageFsInfo',
      {},
    );
    return crioStorage(images[0]?.fs_id?.mountpoint ?? '', containers[0]?.fs_id?.mountpoint ?? '');
  }

  close(): void {
    this.cri.close();
    this.connection.close();
  }

  private async criVersion(): Promise<{ runtime_name: string; runtime_version: string } | undefined> {
    try {
      return await this.cri.call('Version', {}, CRI_MS);
    } catch (error) {
      const { code, details } = error as ServiceError;
      if (code === status.UNIMPLEMENTED) return undefined;
      throw unavailable(`no container runtime answers at ${this.endpoint}: ${details}`);
    }
  }
}

/** Returns an image id as a digest. CRI-O answers with bare hexadecimal ids, and containerd with digests. */
export function digestOfId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? `sha256:${id}` : id;
}
