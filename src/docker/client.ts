import type { Duplex } from 'node:stream';
import type { Readable } from 'node:stream';
import type {
  EngineAuth,
  EngineContainerCreate,
  EngineContainerInspect,
  EngineContainerSummary,
  EngineExecInspect,
  EngineImageInspect,
  EngineImageSummary,
  EngineInfo,
  EngineProgress,
  EngineVersion,
} from '../translate/engine';

export interface CallOptions {
  /** Ends the HTTP request; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export type Filters = Readonly<Record<string, readonly string[]>>;

/**
 * Our view of the Docker Engine: ids and plain JSON in and out, one method an API call. Every rejection is a
 * RuntimeError (docker/errors.ts). Short calls end after the request timeout; pull, events and exec streams only by
 * their signal.
 */
export interface DockerClient {
  ping(options?: CallOptions): Promise<void>;
  version(options?: CallOptions): Promise<EngineVersion>;
  info(options?: CallOptions): Promise<EngineInfo>;
  /** One JSON message per line, until the Engine or the signal ends it. */
  events(filters: Filters, options?: CallOptions): Promise<Readable>;

  /** All containers, running or not, that match. */
  listContainers(filters: Filters, options?: CallOptions): Promise<EngineContainerSummary[]>;
  inspectContainer(idOrName: string, options?: CallOptions): Promise<EngineContainerInspect>;
  /** @returns the new container's id. Name taken: EngineError with statusCode 409. */
  createContainer(name: string, body: EngineContainerCreate, options?: CallOptions): Promise<string>;
  /** Already running is success. */
  startContainer(id: string, options?: CallOptions): Promise<void>;
  /** Stop signal, `graceSeconds`, SIGKILL; resolves when it has stopped. Already stopped is success. */
  stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<void>;
  /** Force-removes with its anonymous volumes. Absent, or being removed by somebody else, is success. */
  removeContainer(id: string, options?: CallOptions): Promise<void>;

  listImages(options?: CallOptions): Promise<EngineImageSummary[]>;
  inspectImage(reference: string, options?: CallOptions): Promise<EngineImageInspect>;
  imageHistory(reference: string, options?: CallOptions): Promise<unknown[]>;
  /** Resolves when the pull has ended well. */
  pullImage(
    reference: string,
    auth: EngineAuth | undefined,
    onProgress: (progress: EngineProgress) => void,
    options?: CallOptions,
  ): Promise<void>;
  /** Makes `reference` from a root file system tar. */
  importImage(
    tar: Readable,
    reference: string,
    changes: readonly string[],
    options?: CallOptions,
  ): Promise<void>;
  /** Removes one name, or by id the image. Absent is success. */
  removeImage(reference: string, options?: CallOptions): Promise<void>;

  createExec(containerId: string, command: readonly string[], options?: CallOptions): Promise<string>;
  /** @returns the hijacked connection; the caller owns and destroys it. */
  startExec(execId: string, options?: CallOptions): Promise<Duplex>;
  inspectExec(execId: string, options?: CallOptions): Promise<EngineExecInspect>;
}
