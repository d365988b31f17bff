import type { Duplex, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
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
import { valueNow, type Changing } from '../lib/changing';
import { withDeadline } from '../lib/async/deadline';
import type { Tracer } from '../lib/tracer';
import { imageApi } from '../translate/shared/engine-facts';
import { containerPath, execPath, imagePath } from './api-paths';
import { CallLanes, type LaneCall, type LaneName } from './call-lanes';
import type {
  CallOptions,
  CreateExecOptions,
  DockerClient,
  Filters,
  RemoveOptions,
  StartExecOptions,
  StreamSelection,
  TerminalSize,
} from './client';
import { connectDocker, DETACH_KEYS, type EngineRequest, EngineTransport } from './transport';
import { EngineError, hasStatus, toRuntimeError } from './errors';
import { firstTarEntry, linkTarget, readJsonLines } from './streams';

/** How many idle connections are kept for later short calls. The lanes limit how many connections are in use. */
const MAX_IDLE_SOCKETS = 32;
/** Timeout for `GET /system/df`, which walks every writable layer. */
const DISK_USAGE_LIMIT_MS = 15 * 60_000;
/** The size, in bytes, that an archive with one file may have: 1 MiB and some headers. */
const MAX_ARCHIVE = (1 << 20) + 8192;
const MAX_LINKS = 8;

export interface DockerodeClientOptions {
  readonly endpoint: string;
  /** Limit of one short call, in ms. */
  readonly requestTimeoutMs: Changing<number>;
  /** Lanes to share with another client. By default, the client has its own. */
  readonly lanes?: CallLanes;
  readonly tracer?: Tracer | undefined;
}

/**
 * The only DockerClient that talks to an Engine. Most request paths name no API version, so that each Engine answers with
 * its newest one. The exception is `imageApi`, which avoids work in the Engine whose result dockbridge does not need.
 */
export class DockerodeClient implements DockerClient {
  private readonly short: EngineTransport;
  private readonly long: EngineTransport;
  private readonly limitMs: () => number;
  private readonly lanes: CallLanes;
  /** Prefix of the paths of image inspects: empty or an API version. */
  private imageApi = '';

  constructor(options: DockerodeClientOptions) {
    this.short = new EngineTransport(connectDocker(options.endpoint, MAX_IDLE_SOCKETS), options.tracer);
    this.long = new EngineTransport(connectDocker(options.endpoint, undefined), options.tracer);
    this.limitMs = () => valueNow(options.requestTimeoutMs);
    this.lanes = options.lanes ?? new CallLanes();
  }

  async ping(options: CallOptions = {}): Promise<void> {
    // The ping uses no lane. A lane full of hung calls must neither look like a hung Engine nor hide one.
    const response = await this.long.stream({ method: 'GET', path: '/_ping', ...options });
    await finished(response.resume(), { signal: options.signal });
  }

  async version(options: CallOptions = {}): Promise<EngineVersion> {
    const request = { method: 'GET', path: '/version', ...options } as const;
    const version = await this.call<EngineVersion>('facts', request);
    this.imageApi = imageApi(version);
    return version;
  }

  info(options: CallOptions = {}): Promise<EngineInfo> {
    return this.call('facts', { method: 'GET', path: '/info', ...options });
  }

  events(filters: Filters, options: CallOptions = {}): Promise<Readable> {
    return this.long.stream({
      method: 'GET',
      path: '/events',
      query: { filters: JSON.stringify(filters) },
      ...options,
    });
  }

  async listNetworks(options: CallOptions = {}): Promise<readonly string[]> {
    const request = { method: 'GET', path: '/networks', ...options } as const;
    return (await this.call<{ Name: string }[]>('facts', request)).map(({ Name }) => Name);
  }

  listContainers(filters: Filters, options: CallOptions = {}): Promise<EngineContainerSummary[]> {
    const query = { all: '1', filters: JSON.stringify(filters) };
    return this.call('facts', { method: 'GET', path: '/containers/json', query, ...options });
  }

  inspectContainer(idOrName: string, options: CallOptions = {}): Promise<EngineContainerInspect> {
    const path = containerPath(idOrName, 'json');
    return this.call('inspect', { method: 'GET', path, ...options }, idOrName);
  }

  containerStats(id: string, options: CallOptions = {}): Promise<EngineContainerStats> {
    const query = { stream: '0', 'one-shot': '1' };
    return this.call('inspect', { method: 'GET', path: containerPath(id, 'stats'), query, ...options }, id);
  }

  async containerSize(id: string, options: CallOptions = {}): Promise<number | undefined> {
    const request = {
      method: 'GET',
      path: containerPath(id, 'json'),
      query: { size: '1' },
      ...options,
    } as const;
    // This walk may take minutes, so it must not occupy a connection for short calls.
    return (await this.long.json<{ SizeRw?: number }>(request, this.limitMs())).SizeRw;
  }

  async createContainer(
    name: string,
    body: EngineContainerCreate,
    options: CallOptions = {},
  ): Promise<string> {
    const request = {
      method: 'POST',
      path: '/containers/create',
      query: { name },
      body,
      ...options,
    } as const;
    return (await this.call<{ Id: string }>('lifecycle', request, name)).Id;
  }

  async startContainer(id: string, options: CallOptions = {}): Promise<void> {
    await this.call('lifecycle', { method: 'POST', path: containerPath(id, 'start'), ...options }, id);
  }

  async stopContainer(id: string, graceSeconds: number, options: CallOptions = {}): Promise<void> {
    const query = { t: String(graceSeconds) };
    const request = { method: 'POST', path: containerPath(id, 'stop'), query, ...options } as const;
    // The Engine answers only after the grace period, so the limit is the grace period plus the limit of a short call.
    await this.call('stop', request, id, graceSeconds * 1000 + this.limitMs());
  }

  async killContainer(id: string, options: CallOptions = {}): Promise<void> {
    const query = { signal: 'SIGKILL' };
    const request = { method: 'POST', path: containerPath(id, 'kill'), query, ...options } as const;
    try {
      // The lane admits few calls for one container. A kill has a place of its own, so that it does not wait for graceful stops.
      await this.call('stop', request, `kill ${id}`);
    } catch (error) {
      // 409 means that the container does not run. For a stop, the Engine answers 304 in this case.
      if (!hasStatus(error, 409)) throw error;
    }
  }

  async updateContainer(id: string, resources: EngineResources, options: CallOptions = {}): Promise<void> {
    const path = containerPath(id, 'update');
    await this.call('lifecycle', { method: 'POST', path, body: resources, ...options }, id);
  }

  async checkpointContainer(
    id: string,
    directory: string,
    name: string,
    timeoutMs: number,
    options: CallOptions = {},
  ): Promise<void> {
    const body = { CheckpointID: name, CheckpointDir: directory, Exit: false };
    const request = { method: 'POST', path: containerPath(id, 'checkpoints'), body, ...options } as const;
    await this.long.json(request, timeoutMs);
  }

  async removeContainer(id: string, { ifStopped = false, ...options }: RemoveOptions = {}): Promise<void> {
    const query = { force: ifStopped ? '0' : '1', v: '1' };
    const request = { method: 'DELETE', path: containerPath(id), query, ...options } as const;
    try {
      await this.call('lifecycle', request, id);
    } catch (error) {
      // 409 means that another removal of this container is under way. CRI wants removals to be idempotent.
      if (!hasStatus(error, 404) && (!hasStatus(error, 409) || ifStopped)) throw error;
      if (hasStatus(error, 409)) await this.removeAfterOther(id, request);
    }
  }

  async readFile(id: string, path: string, options: CallOptions = {}): Promise<string | undefined> {
    let at = path;
    for (let links = 0; links <= MAX_LINKS; links++) {
      const query = { path: at };
      const request = { method: 'GET', path: containerPath(id, 'archive'), query, ...options } as const;
      try {
        const entry = firstTarEntry(
          await this.inLane({ lane: 'inspect', container: id }, request, this.limitMs(), (limited) =>
            this.short.bytes(limited, this.limitMs(), MAX_ARCHIVE),
          ),
        );
        if (entry?.kind === 'file') return entry.content.toString('utf8');
        if (entry?.kind !== 'link') return undefined;
        at = linkTarget(at, entry.target);
      } catch (error) {
        if (hasStatus(error, 404)) return undefined;
        throw error;
      }
    }
    return undefined;
  }

  attachContainer(
    id: string,
    { stdin, stdout, stderr }: StreamSelection,
    options: CallOptions = {},
  ): Promise<Duplex> {
    const bit = (on: boolean): string => (on ? '1' : '0');
    const query = {
      stream: '1',
      stdin: bit(stdin),
      stdout: bit(stdout),
      stderr: bit(stderr),
      detachKeys: DETACH_KEYS,
    };
    return this.long.hijack({ method: 'POST', path: containerPath(id, 'attach'), query, ...options });
  }

  async resizeContainer(id: string, size: TerminalSize, options: CallOptions = {}): Promise<void> {
    const path = containerPath(id, 'resize');
    await this.call('exec', { method: 'POST', path, query: sides(size), ...options }, id);
  }

  listImages(options: CallOptions = {}): Promise<EngineImageSummary[]> {
    return this.call('image', { method: 'GET', path: '/images/json', ...options });
  }

  inspectImage(reference: string, options: CallOptions = {}): Promise<EngineImageInspect> {
    const path = `${this.imageApi}${imagePath(reference, 'json')}`;
    return this.call('image', { method: 'GET', path, ...options });
  }

  async pullImage(
    reference: string,
    auth: EngineAuth | undefined,
    onProgress: (progress: EngineProgress) => void,
    options: CallOptions = {},
  ): Promise<void> {
    const query = { fromImage: reference };
    await this.followProgress(
      { method: 'POST', path: '/images/create', query, auth, ...options },
      onProgress,
    );
  }

  inspectManifest(
    reference: string,
    auth: EngineAuth | undefined,
    options: CallOptions = {},
  ): Promise<EngineManifest> {
    const path = imagePath(reference, 'json', 'distribution');
    return this.call('image', { method: 'GET', path, auth, ...options });
  }

  async importImage(
    tar: Readable,
    reference: string,
    changes: readonly string[],
    options: CallOptions = {},
  ): Promise<void> {
    const [repo, tag] = splitTag(reference);
    const query = { fromSrc: '-', repo, tag, changes };
    await this.followProgress(
      { method: 'POST', path: '/images/create', query, tar, ...options },
      () => undefined,
    );
  }

  async removeImage(reference: string, options: CallOptions = {}): Promise<void> {
    try {
      await this.call('image', { method: 'DELETE', path: imagePath(reference), ...options });
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
    }
  }

  diskUsage(options: CallOptions = {}): Promise<EngineDiskUsage> {
    const query = { type: ['image', 'container'] };
    return this.long.json({ method: 'GET', path: '/system/df', query, ...options }, DISK_USAGE_LIMIT_MS);
  }

  async createExec(
    containerId: string,
    command: readonly string[],
    { tty = false, streams = OUTPUT, ...options }: CreateExecOptions = {},
  ): Promise<string> {
    const body = {
      Cmd: command,
      AttachStdout: streams.stdout,
      AttachStderr: streams.stderr,
      ...(streams.stdin ? { AttachStdin: true } : {}),
      ...(tty ? { Tty: true, DetachKeys: DETACH_KEYS } : {}),
    };
    const request = { method: 'POST', path: containerPath(containerId, 'exec'), body, ...options } as const;
    return (await this.call<{ Id: string }>('exec', request, containerId)).Id;
  }

  startExec(execId: string, { tty = false, size, ...options }: StartExecOptions = {}): Promise<Duplex> {
    const console = size === undefined ? {} : { ConsoleSize: [size.height, size.width] };
    const body = { Detach: false, Tty: tty, ...(tty ? console : {}) };
    return this.long.hijack({ method: 'POST', path: execPath(execId, 'start'), body, ...options });
  }

  async resizeExec(execId: string, size: TerminalSize, options: CallOptions = {}): Promise<void> {
    const path = execPath(execId, 'resize');
    await this.call('exec', { method: 'POST', path, query: sides(size), ...options }, execId);
  }

  inspectExec(execId: string, options: CallOptions = {}): Promise<EngineExecInspect> {
    return this.call('exec', { method: 'GET', path: execPath(execId, 'json'), ...options }, execId);
  }

  private call<T>(
    lane: LaneName,
    request: EngineRequest,
    container?: string,
    timeoutMs = this.limitMs(),
  ): Promise<T> {
    return this.inLane({ lane, container }, request, timeoutMs, (limited) =>
      this.short.json<T>(limited, timeoutMs),
    );
  }

  /** Makes a call in its lane. The time limit starts now, so that it includes the wait for the call's turn. */
  private inLane<T>(
    call: Omit<LaneCall, 'what'>,
    request: EngineRequest,
    timeoutMs: number,
    send: (request: EngineRequest) => Promise<T>,
  ): Promise<T> {
    const what = `${request.method} ${request.path}`;
    return withDeadline(`Docker Engine ${what}`, timeoutMs, request.signal, (signal) =>
      this.lanes.run({ ...call, what }, signal, () => send({ ...request, signal })),
    );
  }

  /** Waits for another client's removal and tries again. If that removal failed, the second attempt reports the reason. */
  private async removeAfterOther(id: string, request: EngineRequest): Promise<void> {
    const path = containerPath(id, 'wait');
    const wait = { method: 'POST', path, query: { condition: 'removed' }, signal: request.signal } as const;
    try {
      await this.long.json(wait, this.limitMs());
      await this.call('lifecycle', request, id);
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
    }
  }

  private async followProgress(
    request: EngineRequest,
    onProgress: (progress: EngineProgress) => void,
  ): Promise<void> {
    try {
      await this.long.whole(request, async (response) => {
        for await (const line of readJsonLines<EngineProgress>(response)) {
          const failure = line.errorDetail?.message ?? line.error;
          if (failure !== undefined) {
            throw new EngineError('UNKNOWN', line.errorDetail?.code ?? 500, failure);
          }
          onProgress(line);
        }
      });
    } catch (error) {
      throw toRuntimeError(error, request.signal);
    }
  }
}

const OUTPUT: StreamSelection = { stdin: false, stdout: true, stderr: true };

function sides({ width, height }: TerminalSize): { w: string; h: string } {
  return { w: String(width), h: String(height) };
}

function splitTag(reference: string): [repo: string, tag: string] {
  const colon = reference.lastIndexOf(':');
  return colon > reference.lastIndexOf('/')
    ? [reference.slice(0, colon), reference.slice(colon + 1)]
    : [reference, 'latest'];
}
