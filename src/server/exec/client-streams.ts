import type { Duplex, Writable } from 'node:stream';
import type { TerminalSize } from '../../docker/client';
import { toRuntimeError } from '../../docker/errors';
import { Demultiplexer, type StreamKind } from '../../docker/streams';
import { messageOf, RuntimeError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { ClientStreams } from '../../streaming/backend';
import { waitingCost } from '../../streaming/waiting-cost';
import type { Services } from '../services';
import { connectionBroke } from './command';

/** The services that an exec or attach session uses. */
export type StreamingParts = Pick<
  Services,
  'docker' | 'store' | 'settings' | 'logger' | 'sessions' | 'startedCommands'
> & {
  readonly backlog: Backlog;
};

/**
 * Connects a client with a hijacked Engine connection until the Engine ends the connection. At the end, or when the
 * signal fires, the connection is always destroyed.
 * @param output decides how long to wait for the client.
 * @param raw whether the connection belongs to a terminal and is therefore not multiplexed.
 */
export async function copyStreams(
  connection: Duplex,
  { stdin }: Pick<ClientStreams, 'stdin'>,
  output: ClientOutput,
  signal: AbortSignal,
  raw: boolean,
): Promise<void> {
  // A hijacked connection ignores the signal of its request, so it is destroyed here.
  const onAbort = (): void => {
    connection.destroy(signal.reason as Error);
  };
  const endInput = (): void => {
    connection.end();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  // An error while writing is ignored. It means that the process has ended, which the end of the output shows anyway.
  connection.on('error', () => undefined);
  stdin?.pipe(connection);
  // A client may reset its input instead of ending it.
  stdin?.once('close', endInput);
  try {
    signal.throwIfAborted();
    await copyOutput(connection, output, signal, raw);
  } catch (error) {
    throw toRuntimeError(error, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    stdin?.off('close', endInput).unpipe(connection);
    connection.destroy();
  }
}

async function copyOutput(
  connection: Duplex,
  output: ClientOutput,
  signal: AbortSignal,
  raw: boolean,
): Promise<void> {
  const pieces: [StreamKind, Buffer][] = [];
  const demultiplexer = new Demultiplexer((kind, data) => pieces.push([kind, data]));
  for await (const chunk of connection as AsyncIterable<Buffer>) {
    if (raw) pieces.push([1, chunk]);
    else demultiplexer.write(chunk);
    for (const [kind, data] of pieces.splice(0)) await output.put(kind, data, signal);
  }
  if (!demultiplexer.isWhole) throw connectionBroke();
}

/**
 * Applies terminal sizes one after the other. If a newer size arrives before a size is applied, the older size is
 * skipped.
 */
export function followSizes(
  client: ClientStreams,
  resize: (size: TerminalSize) => Promise<void>,
  logger: Logger,
): void {
  let next: TerminalSize | undefined;
  let busy = false;
  const work = async (): Promise<void> => {
    busy = true;
    for (let size = next; size !== undefined; size = next) {
      next = undefined;
      try {
        await resize(size);
      } catch (error) {
        // The usual cause is that the process has ended.
        logger.debug(
          () => 'Cannot resize a terminal',
          () => ({ error: messageOf(error) }),
        );
      }
    }
    busy = false;
  };
  client.sizes.listen((size) => {
    next = size;
    if (!busy) void work();
  });
}

/**
 * How many bytes may be unwritten before the session waits for its client: enough to keep the client's connection busy.
 */
const WAITING_BYTES = 64 * 1024;

/** Interval of the calls to `onWait`. */
const WAIT_MS = 1_000;

/** Limits of the output that waits for clients, in bytes. */
export interface BacklogLimits {
  /** Limit of one session whose output is read without waiting for its client. */
  readonly session: number;
  /** Limit of all sessions together. A session with less than `share` continues even above this limit. */
  readonly all: number;
  readonly share: number;
}

export const BACKLOG_LIMITS: BacklogLimits = {
  session: 8 * 1024 * 1024,
  all: 64 * 1024 * 1024,
  share: 256 * 1024,
};

/** The number of bytes that wait for the clients of all sessions together. */
export class Backlog {
  used = 0;

  constructor(readonly limits: BacklogLimits = BACKLOG_LIMITS) {}
}

interface Pending {
  bytes: number;
  isClosed: boolean;
}

/**
 * Passes the output of a command or container to its client. While the client is slow, nothing is read from the Engine.
 * After `hurried` has fired, the Engine's output is always read, and a client that falls too far behind is dropped.
 */
export class ClientOutput {
  private waiting = 0;
  private readonly pending = new Map<Writable, Pending>();
  private wake: () => void = () => undefined;

  /** @param onWait called once a second while the session waits for the client. */
  constructor(
    private readonly client: Pick<ClientStreams, 'stdout' | 'stderr'>,
    private readonly hurried: AbortSignal,
    private readonly all: Backlog,
    private readonly onWait: () => void = () => undefined,
  ) {}

  /**
   * Writes data to the client, and resolves when the next piece may be read.
   * @throws RESOURCE_EXHAUSTED when too much waits for the client; the signal's reason when the signal fires.
   */
  async put(kind: StreamKind, data: Buffer, signal: AbortSignal): Promise<void> {
    const target = kind === 1 ? this.client.stdout : this.client.stderr;
    // The client has closed this stream, so the data is dropped.
    if (target === undefined || target.destroyed) return;
    this.write(target, data);
    if (this.waiting <= WAITING_BYTES) return;
    if (!this.hurried.aborted) await this.drained(signal);
    if (this.hurried.aborted) this.check();
  }

  private write(target: Writable, data: Buffer): void {
    const cost = waitingCost(data);
    const pending = this.pendingOf(target);
    pending.bytes += cost;
    this.change(cost);
    target.write(data, () => {
      if (pending.isClosed) return;
      pending.bytes -= cost;
      this.change(-cost);
    });
  }

  /**
   * Returns the count of a stream's unwritten bytes. A destroyed stream never calls back for data that it has not
   * written, so the count is released when the stream closes.
   */
  private pendingOf(target: Writable): Pending {
    const known = this.pending.get(target);
    if (known !== undefined) return known;
    const pending: Pending = { bytes: 0, isClosed: false };
    this.pending.set(target, pending);
    target.once('close', () => {
      pending.isClosed = true;
      this.change(-pending.bytes);
    });
    return pending;
  }

  private change(bytes: number): void {
    this.waiting += bytes;
    this.all.used += bytes;
    if (this.waiting <= WAITING_BYTES) this.wake();
  }

  private check(): void {
    const { session, all, share } = this.all.limits;
    if (this.waiting <= session && (this.all.used <= all || this.waiting <= share)) return;
    throw new RuntimeError(
      'RESOURCE_EXHAUSTED',
      `the client did not read the output: ${this.waiting} bytes are waiting, and the container must not wait for the client`,
    );
  }

  /** Waits until the client has taken enough, or one of the two signals fires. */
  private async drained(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const ends = [signal, this.hurried];
    const watch = setInterval(this.onWait, WAIT_MS);
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      for (const end of ends) end.addEventListener('abort', this.onEnd);
    });
    clearInterval(watch);
    for (const end of ends) end.removeEventListener('abort', this.onEnd);
    signal.throwIfAborted();
  }

  private readonly onEnd = (): void => this.wake();
}
