import type { Duplex } from 'node:stream';
import { deadlineExceeded } from '../../lib/errors';
import { pause } from '../../lib/async/abortable';
import type { Wanted } from '../backend';
import { SpdyConnection } from '../spdy/connection';
import type { SpdyStream } from '../spdy/stream';
import {
  ended,
  endedSoon,
  endOutputs,
  firstOf,
  LINGER_MS,
  statusText,
  type CommandClient,
  type Outcome,
} from './command-client';
import { TerminalSizes } from './terminal-sizes';

type StreamName = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize';

/**
 * An exec or attach client that opens a SPDY stream for each of its streams. The header `streamtype` names the stream.
 */
export class SpdyCommandClient implements CommandClient {
  readonly sizes = new TerminalSizes();
  readonly gone: AbortSignal;
  private readonly streams = new Map<string, SpdyStream>();
  private readonly expected: ReadonlySet<string>;
  private readonly connection: SpdyConnection;
  private readonly served: Promise<void>;
  private readonly left = new AbortController();
  private onProgress: () => void = () => undefined;

  private constructor(
    private readonly transport: Duplex,
    wanted: Wanted,
    private readonly version: number,
    private readonly stalled: AbortSignal,
  ) {
    this.gone = firstOf(this.left.signal, stalled);
    this.expected = new Set(expectedStreams(wanted, version));
    this.connection = new SpdyConnection(transport, {
      role: 'server',
      onStream: (stream) => this.onStream(stream),
    });
    this.served = this.connection.run().then(() => {
      this.left.abort(new Error('the client has disconnected'));
      this.onProgress();
    });
  }

  /**
   * Resolves when the client has opened all streams.
   * @throws if this takes longer than `limitMs`, or if the client disconnects.
   */
  static async accept(
    transport: Duplex,
    wanted: Wanted,
    version: number,
    limitMs: number,
    stalled: AbortSignal,
  ): Promise<SpdyCommandClient> {
    const client = new SpdyCommandClient(transport, wanted, version, stalled);
    try {
      await client.complete(limitMs);
    } catch (error) {
      transport.destroy();
      throw error;
    }
    return client;
  }

  get stdin(): SpdyStream | undefined {
    return this.stream('stdin');
  }

  get stdout(): SpdyStream | undefined {
    return this.stream('stdout');
  }

  get stderr(): SpdyStream | undefined {
    return this.stream('stderr');
  }

  async finish(outcome: Outcome): Promise<void> {
    // Input that still arrives is discarded, but it must be read so that its end is noticed.
    this.stdin?.resume();
    await endOutputs([this.stdout, this.stderr], outcome, this.stalled);
    const error = this.stream('error');
    const text = statusText(outcome, this.version);
    if (text !== '') error?.write(text);
    await endedSoon(error);
    for (const input of [this.stdin, this.stream('resize')]) void ended(input);
    // The client closes the connection when it has read everything. If the server closed it first, the client could lose
    // the end of the output, because closing a socket with unread input resets the connection.
    await pause(LINGER_MS, this.left.signal);
    this.connection.close();
    await pause(LINGER_MS, this.left.signal);
    this.transport.destroy();
    await this.served;
  }

  private stream(name: StreamName): SpdyStream | undefined {
    return this.streams.get(name);
  }

  private onStream(stream: SpdyStream): void {
    const name = stream.headers.get('streamtype')?.toLowerCase() ?? '';
    if (!this.expected.has(name) || this.streams.has(name)) {
      stream.destroy();
      return;
    }
    this.streams.set(name, stream);
    if (name === 'resize') {
      stream.setEncoding('utf8').on('data', (text: string) => this.sizes.write(text));
    } else if (name !== 'stdin') {
      stream.resume();
    }
    this.onProgress();
  }

  private async complete(limitMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(deadlineExceeded(`the client did not open its streams within ${limitMs} ms`)),
        limitMs,
      );
      this.onProgress = () => {
        if (this.streams.size < this.expected.size && !this.gone.aborted) return;
        clearTimeout(timer);
        if (this.gone.aborted) reject(this.gone.reason as Error);
        else resolve();
      };
      this.onProgress();
    });
  }
}

/** Returns the names of the streams that the client opens. Clients send terminal sizes from version 3 on. */
function expectedStreams({ stdin, stdout, stderr, tty }: Wanted, version: number): StreamName[] {
  const names: [StreamName, boolean][] = [
    ['error', true],
    ['stdin', stdin],
    ['stdout', stdout],
    ['stderr', stderr],
    ['resize', tty && version >= 3],
  ];
  return names.flatMap(([name, expected]) => (expected ? [name] : []));
}
