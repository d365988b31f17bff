import { open, type FileHandle } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import type { TerminalSize } from '../../docker/client';
import { EngineError } from '../../docker/errors';
import { withDeadline } from '../../lib/async/deadline';
import { failedPrecondition, messageOf, RuntimeError, unavailable, unsupported } from '../../lib/errors';
import { isInContainer } from '../../node/cgroup';
import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { isReady, isRunning } from '../../store/states';
import type { AttachRequest, ClientStreams, ExecRequest, StreamingBackend } from '../../streaming/backend';
import { dialLoopback } from '../../streaming/port-forward/dial';
import type { NetnsDialers } from '../../streaming/port-forward/netns-dialer';
import type { Services } from '../services';
import { Backlog, ClientOutput, copyStreams, followSizes, type StreamingParts } from './client-streams';
import { exitCodeOf } from './command';
import { killCommand, type AbandonedCommand } from './kill-command';
import { containerEnded, failedByEnd, lookForDeath, untilContainerEnds } from './until-container-ends';

/**
 * Serves the clients of the streaming server: exec and attach through the Engine, and port-forward to the ports of pods.
 */
export class EngineStreaming implements StreamingBackend {
  private readonly parts: StreamingParts;
  private readonly connections = new PodConnections();

  constructor(
    private readonly services: Omit<StreamingParts, 'backlog'>,
    private readonly dialers: NetnsDialers,
  ) {
    this.parts = { ...services, backlog: new Backlog() };
    // A helper or a connection would otherwise keep the network namespace of an ended pod alive.
    services.store.sandboxes.subscribe((now, before) => {
      if (before === undefined || (now !== undefined && isReady(now))) return;
      void dialers.release(before.id);
      this.connections.close(before.id);
    });
  }

  exec(request: ExecRequest, client: ClientStreams): Promise<number> {
    return streamExec(this.parts, request, client);
  }

  attach(request: AttachRequest, client: ClientStreams): Promise<void> {
    return streamAttach(this.parts, request, client);
  }

  async connect(sandboxId: string, port: number): Promise<Duplex> {
    return this.connections.open(sandboxId, () => connectToPod(this.services, this.dialers, sandboxId, port));
  }
}

/** How long to wait for the first terminal size. A client with a terminal sends the size as soon as it is connected. */
const FIRST_SIZE_MS = 200;

/**
 * Runs a command for a streaming client until the command ends. If the client disconnects first, the command is killed.
 * @returns the exit code.
 */
export async function streamExec(
  parts: StreamingParts,
  request: ExecRequest,
  client: ClientStreams,
): Promise<number> {
  const { docker, logger, sessions, backlog, startedCommands } = parts;
  const { containerId, command, tty } = request;
  const place = sessions.join(containerId);
  const whileRunning = untilContainerEnds(parts, containerId, client.gone, () => place.hurry());
  const { signal } = whileRunning;
  // Both outputs are always attached, because the end of the connection shows the end of the command.
  const streams = { stdin: request.stdin, stdout: true, stderr: true };
  let told: AbandonedCommand | undefined;
  const outcome = { isRefused: false };
  try {
    const id = await docker.createExec(containerId, command, { tty, streams, signal });
    const size = tty ? await client.sizes.first(FIRST_SIZE_MS, signal) : undefined;
    told = { containerId, execId: id, forget: startedCommands.note({ containerId, execId: id }) };
    const connection = await start(parts, id, tty, size, signal).catch((error: unknown) => {
      outcome.isRefused = error instanceof EngineError;
      throw error;
    });
    if (tty) followSizes(client, (size) => docker.resizeExec(id, size, { signal }), logger);
    const output = new ClientOutput(client, place.hurried, backlog, () => {
      void lookForDeath(parts, containerId, () => place.hurry());
    });
    await copyStreams(connection, client, output, signal, tty);
    const exitCode = await exitCodeOf(parts, containerId, id, signal);
    told.forget();
    return exitCode;
  } catch (error) {
    if (outcome.isRefused) told?.forget();
    else if (told !== undefined) await killCommand(parts, told);
    const byEnd = told !== undefined && (await failedByEnd(parts, containerId, error, client.gone));
    throw byEnd ? containerEnded(containerId) : error;
  } finally {
    whileRunning.release();
    place.leave();
  }
}

/**
 * Starts an exec. A terminal gets its size before anything is read from it. The size is in the start request, and also in a
 * resize request, because Engines before 23 ignore it in the start request.
 */
async function start(
  { docker, logger }: StreamingParts,
  execId: string,
  tty: boolean,
  size: TerminalSize | undefined,
  signal: AbortSignal,
): Promise<Duplex> {
  const starting = docker.startExec(execId, { tty, size, signal });
  if (size !== undefined) {
    const resized = docker.resizeExec(execId, size, { signal }).catch((error: unknown) => {
      logger.debug(
        () => 'Cannot resize a terminal',
        () => ({ error: messageOf(error) }),
      );
    });
    await Promise.all([starting, resized]);
  }
  return starting;
}

/**
 * How long to wait for a container's death after its attach has ended. The Engine ends an attach before it reports the
 * death.
 */
const DEATH_MS = 5_000;

/**
 * Connects a client with a container's first process until that process ends or the client disconnects. The end of the
 * client's input ends the container's input only if the container was created with stdin_once, which the Engine handles.
 */
export async function streamAttach(
  parts: StreamingParts,
  { containerId, stdin }: AttachRequest,
  client: ClientStreams,
): Promise<void> {
  const { docker, store, logger, sessions, backlog } = parts;
  const container = store.containers.get(containerId);
  if (container === undefined || !isRunning(container))
    throw failedPrecondition(`container ${containerId} is not running`);
  const place = sessions.join(containerId);
  // The Engine lets a container write only as much as all its attached clients have read (ADR 0027). Only a container
  // that was made for the session of a single client may wait for that client.
  if (!(stdin && container.stdin && container.stdinOnce)) place.hurry();
  const whileRunning = untilContainerEnds(parts, containerId, client.gone, () => place.hurry());
  const { signal } = whileRunning;
  try {
    const streams = { stdin: stdin && container.stdin, stdout: true, stderr: true };
    const connection = await docker.attachContainer(containerId, streams, { signal });
    if (container.tty)
      followSizes(client, (size) => docker.resizeContainer(containerId, size, { signal }), logger);
    const output = new ClientOutput(client, place.hurried, backlog, () => {
      void lookForDeath(parts, containerId, () => place.hurry());
    });
    await copyStreams(connection, client, output, signal, container.tty);
    await expectDeath(parts, containerId, client.gone);
  } finally {
    whileRunning.release();
    place.leave();
  }
}

/**
 * Waits for the death of an attached container.
 * @throws UNAVAILABLE if the container is still running, because then only the connection has ended.
 */
async function expectDeath({ store }: StreamingParts, containerId: string, gone: AbortSignal): Promise<void> {
  try {
    await withDeadline('The death of an attached container', DEATH_MS, gone, (limit) =>
      store.containers.waitFor(containerId, (container) => !isRunning(container), limit),
    );
  } catch {
    gone.throwIfAborted();
    throw unavailable(`the Engine has ended the session, but container ${containerId} still runs`);
  }
}

/**
 * Connects to a port of the pod's loopback interface.
 * @throws UNAVAILABLE with the pod, the port, and the error of each address.
 */
export async function connectToPod(
  { store, settings }: Pick<Services, 'store' | 'settings'>,
  dialers: NetnsDialers,
  sandboxId: string,
  port: number,
): Promise<Duplex> {
  const sandbox = store.sandboxes.get(sandboxId);
  if (sandbox === undefined || !isReady(sandbox))
    throw failedPrecondition(`pod sandbox ${sandboxId} is not ready`);
  if (!settings.localEngine)
    throw unsupported('port_forward', 'dockbridge cannot reach the pods of a remote Engine');
  const isOnNode = sandbox.namespaces.network === NamespaceMode.NODE;
  try {
    if (isOnNode) return await dialLoopback(port);
    return await dialers.connect(sandbox.id, port, () => openNetns(sandbox));
  } catch (error) {
    const { namespace, name } = sandbox.metadata;
    const where = isOnNode
      ? "the node's network, which the pod shares"
      : `the network namespace of sandbox ${sandbox.id}`;
    throw unavailable(
      `cannot connect to port ${port} of pod ${namespace}/${name} in ${where}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * Opens a pod's network namespace. The pid is checked after opening, because the open handle cannot change but the pid
 * may have belonged to another process.
 */
async function openNetns({ id, pid }: SandboxRecord): Promise<FileHandle> {
  const handle = await open(`/proc/${pid}/ns/net`);
  if (await isInContainer(pid, id)) return handle;
  await handle.close();
  throw unavailable(`the pause process of sandbox ${id} has ended`);
}

/** Limit of forwarded connections. Each uses a descriptor of this process. */
const MAX_CONNECTIONS = 1000;

interface Connection {
  readonly sandboxId: string;
  socket?: Duplex;
  /** Whether the pod ended before the connection was established. */
  tooLate?: boolean;
}

/** The connections into pods. They are closed when their pod ends. */
export class PodConnections {
  private readonly connections = new Set<Connection>();

  constructor(private readonly limit = MAX_CONNECTIONS) {}

  /**
   * Opens a connection.
   * @throws RESOURCE_EXHAUSTED when there are too many connections, or the error of `connect`.
   */
  async open(sandboxId: string, connect: () => Promise<Duplex>): Promise<Duplex> {
    if (this.connections.size >= this.limit)
      throw new RuntimeError(
        'RESOURCE_EXHAUSTED',
        `${this.limit} connections are forwarded into pods, which is the limit`,
      );
    const connection: Connection = { sandboxId };
    this.connections.add(connection);
    try {
      const socket = await connect();
      connection.socket = socket;
      if (connection.tooLate === true || socket.destroyed) {
        socket.destroy();
        throw unavailable('the pod is stopped');
      }
      return socket.once('close', () => this.connections.delete(connection));
    } catch (error) {
      this.connections.delete(connection);
      throw error;
    }
  }

  /** Closes the connections of a pod that has ended. */
  close(sandboxId: string): void {
    for (const connection of this.connections) {
      if (connection.sandboxId !== sandboxId) continue;
      connection.tooLate = true;
      connection.socket?.destroy();
    }
  }
}
