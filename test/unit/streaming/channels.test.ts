import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import {
  CHANNEL_PROTOCOL_NAMES,
  channelProtocol,
  WebSocketChannels,
} from '../../../src/streaming/websocket/channels';
import { settle } from '../support/async';

/** The part of a WebSocket that channels use. */
class FakeWebSocket extends EventEmitter {
  readonly calls: string[] = [];
  bufferedAmount = 0;

  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  pong(): void {
    this.calls.push('pong');
  }
  close(code: number, reason = ''): void {
    this.calls.push(`close ${code} ${reason}`.trimEnd());
  }
}

const MESSAGE = Buffer.alloc(65_537);

describe('the channels of a WebSocket whose messages nobody reads', () => {
  let socket: FakeWebSocket;
  let channels: WebSocketChannels;
  let stdin: Duplex;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    socket = new FakeWebSocket();
    channels = new WebSocketChannels(
      socket as EventEmitter as WebSocket,
      channelProtocol('v5.channel.k8s.io')!,
    );
    stdin = channels.open(0);
    expect(socket.calls.splice(0)).toEqual(['resume']);
    while (socket.calls.length === 0) socket.emit('message', MESSAGE, true);
    expect(socket.calls.splice(0)).toEqual(['pause']);
  });
  afterEach(() => jest.useRealTimers());

  it('are paused, and a pong four times a second shows whether the client is still there', () => {
    jest.advanceTimersByTime(1_000);
    expect(socket.calls.splice(0)).toEqual(['pong', 'pong', 'pong', 'pong']);
    // The last pong has not left yet.
    socket.bufferedAmount = 2;
    jest.advanceTimersByTime(1_000);
    expect(socket.calls).toEqual([]);
  });

  it('are read again once somebody reads them, without pongs', async () => {
    stdin.resume();
    await settle();
    expect(socket.calls).toEqual(['resume']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('are read again when stdin is discarded, and are closed with a reason', () => {
    stdin.destroy();
    expect(socket.calls.splice(0)).toEqual(['resume']);
    expect(jest.getTimerCount()).toBe(0);
    channels.close('has read nothing');
    expect(socket.calls).toEqual(['close 1008 has read nothing']);
  });

  it('leave no timer when the client goes', () => {
    expect(jest.getTimerCount()).toBe(1);
    socket.emit('close');
    expect(jest.getTimerCount()).toBe(0);
    expect([channels.gone.aborted, stdin.destroyed]).toEqual([true, true]);
  });
});

it('each subprotocol has the properties in its name', () => {
  expect(CHANNEL_PROTOCOL_NAMES.map(channelProtocol)).toEqual([
    { name: 'v5.channel.k8s.io', version: 5, base64: false, closable: true },
    { name: 'v5.base64.channel.k8s.io', version: 5, base64: true, closable: false },
    { name: 'v4.channel.k8s.io', version: 4, base64: false, closable: false },
    { name: 'v4.base64.channel.k8s.io', version: 4, base64: true, closable: false },
    { name: 'channel.k8s.io', version: 1, base64: false, closable: false },
    { name: 'base64.channel.k8s.io', version: 1, base64: true, closable: false },
    { name: '', version: 1, base64: false, closable: false },
  ]);
});
