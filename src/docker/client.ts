import type { Duplex, Readable } from 'node:stream';
import type {
  EngineAuth,
  EngineContainerCreate,
  EngineContainerInspect,
  EngineContainerStats,
  EngineContainerSummary,
  EngineDiskUsage,
  EngineExecInspect,
  EngineImageInspect,
  EngineImageSummary,
  EngineManifest,
  EngineInfo,
  EngineProgress,
  EngineResources,
  EngineVersion,
} from '../engine/types';

export interface CallOptions {
  /** Ends the HTTP request; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The size of a terminal in characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** The streams of a process that a connection carries. */
export interface StreamSelection {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface CreateExecOptions extends CallOptions {
  readonly tty?: boolean;
  /** By default, both outputs. */
  readonly streams?: StreamSelection;
}

export interface StartExecOptions extends CallOptions {
  /** The same as when it was created. */
  readonly tty?: boolean;
  /** The size of the new terminal, which Engines before 23 ignore. */
  readonly size?: TerminalSize | undefined;
}

export interface RemoveOptions extends CallOptions {
  /** Does not remove a container that runs or is being removed, but rejects with an EngineError of statusCode 409. */
  readonly ifStopped?: boolean;
}

export type Filters = Readonly<Record<string, readonly string[]>>;

/**
 * Our view of the Docker Engine: ids and plain JSON in and out, one method per API call. Every rejection is a RuntimeError
 * (docker/errors.ts). Short calls end after the request timeout; pulls, events and exec streams end only by their signal.
 */
export interface DockerClient {
  ping(options?: CallOptions): Promise<void>;
  version(options?: CallOptions): Promise<EngineVersion>;
  info(options?: CallOptions): Promise<EngineInfo>;
  /** One JSON message per line, until the Engine or the signal ends it. */
  events(filters: Filters, options?: CallOptions): Promise<Readable>;

  /** Names of the Engine's networks. This call hangs when the Engine's network controller is locked. */
  listNetworks(options?: CallOptions): Promise<readonly string[]>;

  /** All containers, running or not, that match. */
  listContainers(filters: Filters, options?: CallOptions): Promise<EngineContainerSummary[]>;
  inspectContainer(idOrName: string, options?: CallOptions): Promise<EngineContainerInspect>;
  /** One reading, without the second one for a rate, which would take the Engine a second. */
  containerStats(id: string, options?: CallOptions): Promise<EngineContainerStats>;
  /** Bytes of the container's writable layer. The Engine walks it, which may take long. */
  containerSize(id: string, options?: CallOptions): Promise<number | undefined>;
  /** @returns the new container's id. @throws EngineError with statusCode 409 when the name is taken. */
  createContainer(name: string, body: EngineContainerCreate, options?: CallOptions): Promise<string>;
  /** Succeeds when the container runs already. */
  startContainer(id: string, options?: CallOptions): Promise<void>;
  /** Sends the stop signal, and SIGKILL after `graceSeconds`; resolves when it has stopped, or was stopped already. */
  stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<void>;
  /** Takes effect at once for a running container, else at its start. */
  updateContainer(id: string, resources: EngineResources, options?: CallOptions): Promise<void>;
  /**
   * Writes CRIU's images of all processes into `directory`/`name`; the container keeps running. Needs an experimental Engine.
   */
  checkpointContainer(
    id: string,
    directory: string,
    name: string,
    timeoutMs: number,
    options?: CallOptions,
  ): Promise<void>;
  /** Removes it, running or not, with its anonymous volumes. Succeeds when it is absent or somebody else removes it. */
  removeContainer(id: string, options?: RemoveOptions): Promise<void>;

  /**
   * Reads a file of a container's root file system, following links, whether the container runs or not.
   * @returns undefined when there is no regular file of at most 1 MiB.
   */
  readFile(id: string, path: string, options?: CallOptions): Promise<string | undefined>;
  /** @returns the hijacked connection, like startExec; it does not carry earlier output. */
  attachContainer(id: string, streams: StreamSelection, options?: CallOptions): Promise<Duplex>;
  resizeContainer(id: string, size: TerminalSize, options?: CallOptions): Promise<void>;

  listImages(options?: CallOptions): Promise<EngineImageSummary[]>;
  inspectImage(reference: string, options?: CallOptions): Promise<EngineImageInspect>;
  /** Resolves when the pull has succeeded. */
  pullImage(
    reference: string,
    auth: EngineAuth | undefined,
    onProgress: (progress: EngineProgress) => void,
    options?: CallOptions,
  ): Promise<void>;
  /** Makes the Engine ask the registry for the manifest. Rejects with the registry's status, or 500 for any other failure. */
  inspectManifest(
    reference: string,
    auth: EngineAuth | undefined,
    options?: CallOptions,
  ): Promise<EngineManifest>;
  /** Makes the image `reference` from the tar of a root file system. */
  importImage(
    tar: Readable,
    reference: string,
    changes: readonly string[],
    options?: CallOptions,
  ): Promise<void>;
  /** Removes one name, or the whole image when given its id. Succeeds when it is absent. */
  removeImage(reference: string, options?: CallOptions): Promise<void>;

  /** The Engine walks all writable layers (before API 1.42 also volumes), which is slow and expensive. Call it rarely. */
  diskUsage(options?: CallOptions): Promise<EngineDiskUsage>;

  createExec(containerId: string, command: readonly string[], options?: CreateExecOptions): Promise<string>;
  /** @returns the hijacked connection; the caller owns and destroys it. Multiplexed (Demultiplexer) unless on a terminal. */
  startExec(execId: string, options?: StartExecOptions): Promise<Duplex>;
  /** The Engine waits up to 10 s for the exec to be started. */
  resizeExec(execId: string, size: TerminalSize, options?: CallOptions): Promise<void>;
  inspectExec(execId: string, options?: CallOptions): Promise<EngineExecInspect>;
}
