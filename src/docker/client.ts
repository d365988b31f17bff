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
  /** Ends the HTTP request. The call then rejects with the signal's reason, as a RuntimeError. */
  readonly signal?: AbortSignal | undefined;
}

/** The size of a terminal in characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** The streams of a process that one connection carries. */
export interface StreamSelection {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface CreateExecOptions extends CallOptions {
  readonly tty?: boolean;
  /** Defaults to both outputs without stdin. */
  readonly streams?: StreamSelection;
}

export interface StartExecOptions extends CallOptions {
  /** Must equal the value with which the exec was created. */
  readonly tty?: boolean;
  /** The size of the new terminal. Engines before 23 ignore it. */
  readonly size?: TerminalSize | undefined;
}

export interface RemoveOptions extends CallOptions {
  /**
   * Makes the call reject with an EngineError of statusCode 409 when the container runs or is being removed. Without this
   * option, the call removes a running container too.
   */
  readonly ifStopped?: boolean;
}

export type Filters = Readonly<Record<string, readonly string[]>>;

/**
 * dockbridge's view of Docker Engine. Its methods take and return ids, plain JSON and streams. Most of them make one API
 * call. Every rejection is a RuntimeError (docker/errors.ts). Short calls end after the request timeout. Pings, pulls,
 * imports and streams (events, exec, attach) have no timeout: only their signal can cut them off.
 */
export interface DockerClient {
  ping(options?: CallOptions): Promise<void>;
  version(options?: CallOptions): Promise<EngineVersion>;
  info(options?: CallOptions): Promise<EngineInfo>;
  /** Returns a stream with one JSON message per line, which lasts until the Engine or the signal ends it. */
  events(filters: Filters, options?: CallOptions): Promise<Readable>;

  /** Returns the names of the Engine's networks. This call hangs while the Engine's network controller is locked. */
  listNetworks(options?: CallOptions): Promise<readonly string[]>;

  /** Returns all containers that match, running or not. */
  listContainers(filters: Filters, options?: CallOptions): Promise<EngineContainerSummary[]>;
  inspectContainer(idOrName: string, options?: CallOptions): Promise<EngineContainerInspect>;
  /** Returns one reading. The Engine would need another second for the second reading that a rate requires. */
  containerStats(id: string, options?: CallOptions): Promise<EngineContainerStats>;
  /** Returns the size of the container's writable layer in bytes. The Engine walks the layer, which may take a long time. */
  containerSize(id: string, options?: CallOptions): Promise<number | undefined>;
  /**
   * Creates a container.
   * @returns the new container's id.
   * @throws EngineError with statusCode 409 when the name is taken.
   */
  createContainer(name: string, body: EngineContainerCreate, options?: CallOptions): Promise<string>;
  /** Starts a container. Succeeds when it is already running. */
  startContainer(id: string, options?: CallOptions): Promise<void>;
  /**
   * Sends the stop signal, and SIGKILL after `graceSeconds`. Resolves when the container has stopped, or at once if it
   * had stopped before.
   */
  stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<void>;
  /** Sends SIGKILL. Resolves when the container has stopped, or at once if it does not run. */
  killContainer(id: string, options?: CallOptions): Promise<void>;
  /** Changes resources: at once for a running container, otherwise at its start. */
  updateContainer(id: string, resources: EngineResources, options?: CallOptions): Promise<void>;
  /**
   * Writes CRIU's images of all the container's processes into `directory`/`name`. The container continues to run. This
   * needs an experimental Engine.
   */
  checkpointContainer(
    id: string,
    directory: string,
    name: string,
    timeoutMs: number,
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Removes a container with its anonymous volumes, running or not. Succeeds when the container is absent or another
   * client removes it.
   */
  removeContainer(id: string, options?: RemoveOptions): Promise<void>;

  /**
   * Reads a file of a container's root file system, following links, whether the container runs or not.
   * @returns undefined when there is no regular file of at most 1 MiB.
   */
  readFile(id: string, path: string, options?: CallOptions): Promise<string | undefined>;
  /** @returns the hijacked connection, like startExec. It does not carry earlier output. */
  attachContainer(id: string, streams: StreamSelection, options?: CallOptions): Promise<Duplex>;
  resizeContainer(id: string, size: TerminalSize, options?: CallOptions): Promise<void>;

  listImages(options?: CallOptions): Promise<EngineImageSummary[]>;
  inspectImage(reference: string, options?: CallOptions): Promise<EngineImageInspect>;
  /** Pulls an image. Resolves when the pull has succeeded. */
  pullImage(
    reference: string,
    auth: EngineAuth | undefined,
    onProgress: (progress: EngineProgress) => void,
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Makes the Engine request the manifest from the registry. Rejects with the registry's status, or 500 for any other
   * failure.
   */
  inspectManifest(
    reference: string,
    auth: EngineAuth | undefined,
    options?: CallOptions,
  ): Promise<EngineManifest>;
  /** Creates the image `reference` from the tar of a root file system. */
  importImage(
    tar: Readable,
    reference: string,
    changes: readonly string[],
    options?: CallOptions,
  ): Promise<void>;
  /** Removes one name, or the whole image when `reference` is its id. Succeeds when it is absent. */
  removeImage(reference: string, options?: CallOptions): Promise<void>;

  /**
   * Returns disk sizes. The Engine walks all writable layers (before API 1.42 also volumes), which is slow and expensive,
   * so call this rarely.
   */
  diskUsage(options?: CallOptions): Promise<EngineDiskUsage>;

  createExec(containerId: string, command: readonly string[], options?: CreateExecOptions): Promise<string>;
  /**
   * @returns the hijacked connection, which the caller owns and destroys. Its output is multiplexed (Demultiplexer)
   * unless the exec has a terminal.
   */
  startExec(execId: string, options?: StartExecOptions): Promise<Duplex>;
  /** Changes an exec's terminal. The Engine waits up to 10 s for the exec to be started. */
  resizeExec(execId: string, size: TerminalSize, options?: CallOptions): Promise<void>;
  inspectExec(execId: string, options?: CallOptions): Promise<EngineExecInspect>;
}
