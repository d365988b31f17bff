import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { pause } from '../../lib/async/abortable';
import type { Wanted } from '../backend';
import { WebSocketChannels, type ChannelProtocol } from '../websocket/channels';
import {
  endedSoon,
  endOutputs,
  firstOf,
  LINGER_MS,
  REASON_MS,
  statusText,
  type CommandClient,
  type Outcome,
} from './command-client';
import { TerminalSizes } from './terminal-sizes';

const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

/** An exec or attach client whose streams are numbered channels of one WebSocket. */
export class WebSocketCommandClient implements CommandClient {
  readonly sizes = new TerminalSizes();
  readonly gone: AbortSignal;
  readonly stdin: Duplex | undefined;
  readonly stdout: Duplex | undefined;
  readonly stderr: Duplex | undefined;
  private readonly error: Duplex;
  private readonly channels: WebSocketChannels;

  constructor(
    private readonly socket: WebSocket,
    wanted: Wanted,
    private readonly protocol: ChannelProtocol,
    private readonly stalled: AbortSignal,
  ) {
    this.channels = new WebSocketChannels(socket, protocol);
    this.gone = firstOf(this.channels.gone, stalled);
    this.stdin = wanted.stdin ? this.channels.open(Channel.stdin) : undefined;
    this.stdout = wanted.stdout ? this.channels.open(Channel.stdout) : undefined;
    this.stderr = wanted.stderr ? this.channels.open(Channel.stderr) : undefined;
    this.error = this.channels.open(Channel.error);
    if (wanted.tty) {
      const sizes = this.channels.open(Channel.resize).setEncoding('utf8');
      sizes.on('data', (text: string) => this.sizes.write(text));
    }
    // An empty message shows older clients that the session is ready. Clients of version 5 do not wait for it, and
    // kubectl reports an error if it arrives before kubectl has prepared its own streams.
    if (protocol.version < 5) (this.stdout ?? this.stderr ?? this.error).write(Buffer.alloc(0));
  }

  async finish(outcome: Outcome): Promise<void> {
    await endOutputs([this.stdout, this.stderr], outcome, this.stalled);
    const text = statusText(outcome, this.protocol.version);
    if (text !== '') this.error.write(text);
    await endedSoon(this.error);
    const dropped = outcome.kind === 'failed' && outcome.dropped;
    this.channels.close(dropped ? outcome.message : undefined);
    await pause(dropped ? REASON_MS : 2 * LINGER_MS, this.channels.gone);
    this.socket.terminate();
  }
}
