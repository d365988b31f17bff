import type { Duplex } from 'node:stream';
import type { Readable } from 'node:stream';
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

/** Characters. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** Which of a process' streams a connection carries. */
export interface StreamSelection {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

export interface CreateExecOptions extends CallOptions {
  readonly tty?: boolean;
  /** Default: both outputs. */
  readonly streams?: StreamSelection;
}

export interface StartExecOptions extends CallOptions {
  /** As it was created. */
  readonly tty?: boolean;
  /** The size of the new terminal; Engines before 23 do not look at it. */
  readonly size?: TerminalSize | undefined;
}

export interface RemoveOptions extends CallOptions {
  /** One that runs, or is being removed, is left alone: EngineError with statusCode 409. */
  readonly ifStopped?: boolean;
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

  /** Names of the Engine's networks: a question that hangs when its network controller is locked. */
  listNetworks(options?: CallOptions): Promise<readonly string[]>;

  /** All containers, running or not, that match. */
  listContainers(filters: Filters, options?: CallOptions): Promise<EngineContainerSummary[]>;
  inspectContainer(idOrName: string, options?: CallOptions): Promise<EngineContainerInspect>;
  /** One reading, without the second one for a rate that would take the Engine a second. */
  containerStats(id: string, options?: CallOptions): Promise<EngineContainerStats>;
  /** Bytes of its writable layer: the Engine walks it, which may take long. */
  containerSize(id: string, options?: CallOptions): Promise<number | undefined>;
  /** @returns the new container's id. Name taken: EngineError with statusCode 409. */
  createContainer(name: string, body: EngineContainerCreate, options?: CallOptions): Promise<string>;
  /** Already running is success. */
  startContainer(id: string, options?: CallOptions): Promise<void>;
  /** Stop signal, `graceSeconds`, SIGKILL; resolves when it has stopped. Already stopped is success. */
  stopContainer(id: string, graceSeconds: number, options?: CallOptions): Promise<void>;
  /** Applied at once to a running container, else at its start. */
  updateContainer(id: string, resources: EngineResources, options?: CallOptions): Promise<void>;
  /**
   * CRIU's images of all its processes go into `directory`/`name`; the container runs on. Only on experimental Engines.
   * @param timeoutMs limit of the call.
   */
  checkpointContainer(
    id: string,
    directory: string,
    name: string,
    timeoutMs: number,
    options?: CallOptions,
  ): Promise<void>;
  /** Removes it, running or not, with its anonymous volumes. Absent, or being removed by somebody else, is success. */
  removeContainer(id: string, options?: RemoveOptions): Promise<void>;

  /**
   * A file of a container's root file system, links followed, whether it runs or not.
   * @returns undefined when there is none, or what is there is no regular file of at most 1 MiB.
   */
  readFile(id: string, path: string, options?: CallOptions): Promise<string | undefined>;
  /** @returns the hijacked connection, as that of startExec; what was written before is not on it. */
  attachContainer(id: string, streams: StreamSelection, options?: CallOptions): Promise<Duplex>;
  resizeContainer(id: string, size: TerminalSize, options?: CallOptions): Promise<void>;

  listImages(options?: CallOptions): Promise<EngineImageSummary[]>;
  inspectImage(reference: string, options?: CallOptions): Promise<EngineImageInspect>;
  /** Resolves when the pull has ended well. */
  pullImage(
    reference: string,
    auth: EngineAuth | undefined,
    onProgress: (progress: EngineProgress) => void,
    options?: CallOptions,
  ): Promise<void>;
  /** Lets the Engine ask the registry for the manifest. Rejects with the registry's status, or 500 for all else. */
  inspectManifest(
    reference: string,
    auth: EngineAuth | undefined,
    options?: CallOptions,
  ): Promise<EngineManifest>;
  /** Makes `reference` from a root file system tar. */
  importImage(
    tar: Readable,
    reference: string,
    changes: readonly string[],
    options?: CallOptions,
  ): Promise<void>;
  /** Removes one name, or by id the image. Absent is success. */
  removeImage(reference: string, options?: CallOptions): Promise<void>;

  /** The Engine walks the writable layers for it (before API 1.42 volumes too): takes long, costs much, ask rarely. */
  diskUsage(options?: CallOptions): Promise<EngineDiskUsage>;

  createExec(containerId: string, command: readonly string[], options?: CreateExecOptions): Promise<string>;
  /** @returns the hijacked connection; the caller owns and destroys it. Multiplexed (demux.ts) unless on a terminal. */
  startExec(execId: string, options?: StartExecOptions): Promise<Duplex>;
  /** Waits, 10 s at most, for the exec to be started. */
  resizeExec(execId: string, size: TerminalSize, options?: CallOptions): Promise<void>;
  inspectExec(execId: string, options?: CallOptions): Promise<EngineExecInspect>;
}
