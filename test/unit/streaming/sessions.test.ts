import type { Duplex } from 'node:stream';
import { RuntimeError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import type { ClientStreams, StreamingBackend } from '../../../src/streaming/backend';
import {
  firstOf,
  LINGER_MS,
  REASON_MS,
  statusText,
} from '../../../src/streaming/remotecommand/command-client';
import { serveSession, type SessionParts } from '../../../src/streaming/sessions';
import { channelProtocol, WebSocketChannels } from '../../../src/streaming/websocket/channels';
import { gate, settle, type Gate } from '../support/async';
import { asWebSocket, FakeWebSocket } from './support/fake-web-socket';

const V5 = channelProtocol('v5.channel.k8s.io')!;
const V4 = channelProtocol('v4.channel.k8s.io')!;
const BASE64 = channelProtocol('base64.channel.k8s.io')!;

const WANTED = { stdin: true, stdout: true, stderr: true, tty: false };

describe('a session of exec or attach', () => {
  let socket: FakeWebSocket;
  let stalled: AbortController;
  let client: ClientStreams | undefined;
  let outcome: Gate<number>;
  let warnings: unknown[];
  let parts: SessionParts;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    [socket, stalled, outcome, warnings] = [new FakeWebSocket(), new AbortController(), gate(), []];
    client = undefined;
    const run = (_: unknown, streams: ClientStreams): Promise<number> => {
      client = streams;
      return outcome.promise;
    };
    const backend: StreamingBackend = {
      exec: run,
      attach: async (request, streams) => {
        await run(request, streams);
      },
      connect: () => Promise.reject(new Error('not asked for')),
    };
    const warn = (message: string, fields: unknown): number => warnings.push([message, fields]);
    parts = {
      ...{ backend, logger: { ...silentLogger, warn }, creationTimeoutMs: 100 },
      ...{ stalled: stalled.signal, stuckMs: 100 },
    };
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  const request = { containerId: 'c', command: ['x'], ...WANTED };
  /** A session that has begun. `isOver` says whether it has ended. */
  async function serve(kind: 'exec' | 'attach', protocol = V5, more: object = {}) {
    let over = false;
    const end = serveSession(
      parts,
      { kind, request: { ...request, ...more } },
      { kind: 'channels', protocol, socket: asWebSocket(socket) },
    ).then(() => {
      over = true;
    });
    await settle();
    return { end, isOver: () => over };
  }
  const texts = (): string[] =>
    socket.sent.map((data) => {
      const bytes = Buffer.from(data as string);
      return `${bytes[0]}:${bytes.subarray(1).toString()}`;
    });

  it('has exactly the requested streams', async () => {
    for (const name of ['stdin', 'stdout', 'stderr'] as const) {
      socket = new FakeWebSocket();
      outcome = gate();
      const none = { stdin: false, stdout: false, stderr: false };
      const session = await serve('exec', V5, { ...none, [name]: true });
      const { stdin, stdout, stderr } = client!;
      const all = { stdin, stdout, stderr };
      expect(Object.entries(all).flatMap(([key, stream]) => (stream === undefined ? [] : [key]))).toEqual([
        name,
      ]);
      outcome.resolve(0);
      await settle();
      socket.terminate();
      await session.end;
    }
  });

  it('ends with the outputs, the status and a normal close, and waits for the client to leave', async () => {
    const session = await serve('exec');
    client!.stdout!.write('out');
    client!.stderr!.write('err');
    outcome.resolve(7);
    await settle();
    expect(texts()).toEqual(['1:out', '2:err', `3:${statusText({ kind: 'exited', code: 7 }, 5)}`]);
    expect(socket.calls.splice(0)).toEqual(['resume', 'close 1000']);
    await jest.advanceTimersByTimeAsync(2 * LINGER_MS - 1);
    await settle();
    expect([session.isOver(), socket.calls]).toEqual([false, []]);
    await jest.advanceTimersByTimeAsync(1);
    await session.end;
    expect(socket.calls).toEqual(['terminate']);
    expect(warnings).toEqual([]);
  });

  it.each([
    ['stdout', {}, 1],
    ['stderr', { stdout: false }, 2],
    ['the status', { stdout: false, stderr: false }, 3],
  ])('begins, before version 5, with an empty message on %s', async (_, more, channel) => {
    const session = await serve('attach', V4, more);
    await settle();
    expect(socket.sent).toEqual([Buffer.from([channel])]);
    outcome.resolve(0);
    await settle();
    expect(texts().at(-1)).toBe('3:{"metadata":{},"status":"Success"}');
    socket.terminate();
    await session.end;
  });

  it('accepts terminal sizes only for a terminal', async () => {
    const size = Buffer.from('\x04{"Width":132,"Height":43}');
    const session = await serve('exec');
    socket.emit('message', size, true);
    await settle();
    const first = client!.sizes.first(0, new AbortController().signal);
    await jest.advanceTimersByTimeAsync(1);
    expect(await first).toBeUndefined();
    outcome.resolve(0);
    await settle();
    socket.terminate();
    await session.end;
  });

  it.each(['exec', 'attach'] as const)(
    'of %s that fails reports the error to its client and in the log',
    async (kind) => {
      const session = await serve(kind);
      outcome.reject(new Error('no such command'));
      await settle();
      expect(JSON.parse(texts()[0]?.slice(2) ?? '')).toEqual({
        ...{
          metadata: {},
          status: 'Failure',
          reason: 'InternalError',
          message: 'no such command',
          code: 500,
        },
      });
      expect(socket.calls).toEqual(['resume', 'close 1000']);
      socket.terminate();
      await session.end;
      expect(warnings).toEqual([
        ['An exec or attach session failed', { kind, container: 'c', error: 'no such command' }],
      ]);
    },
  );

  it('logs nothing about a client that has left', async () => {
    const session = await serve('exec');
    socket.emit('close');
    expect(client!.gone.reason).toEqual(new Error('the client has disconnected'));
    outcome.reject(client!.gone.reason as Error);
    await session.end;
    expect(warnings).toEqual([]);
  });

  it('tells a disconnected client the reason, and gives it half a minute to read it', async () => {
    const session = await serve('exec');
    stalled.abort(new RuntimeError('RESOURCE_EXHAUSTED', 'the client has read nothing'));
    expect(client!.gone.aborted).toBe(true);
    outcome.reject(client!.gone.reason as Error);
    await settle();
    expect(socket.calls.splice(0)).toEqual(['resume', 'close 1008 the client has read nothing']);
    expect(warnings).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(REASON_MS - 1);
    await settle();
    expect([session.isOver(), socket.calls]).toEqual([false, []]);
    await jest.advanceTimersByTimeAsync(1);
    await session.end;
    expect(socket.calls).toEqual(['terminate']);
  });

  it('ends at once if the client has opened the tunnel of a port-forward', async () => {
    await serveSession(parts, { kind: 'exec', request }, { kind: 'tunnel', socket: asWebSocket(socket) });
    expect([socket.calls, client]).toEqual([['terminate'], undefined]);
  });
});

describe('a signal that fires with the first of two', () => {
  it.each([0, 1])('has the reason of number %d if that one fires first', (index) => {
    const both = [new AbortController(), new AbortController()];
    const first = firstOf(both[0]!.signal, both[1]!.signal);
    expect(first.aborted).toBe(false);
    const why = new Error('first');
    both[index]!.abort(why);
    both[1 - index]!.abort(new Error('second'));
    expect(first.reason).toBe(why);
    expect(firstOf(both[0]!.signal, new AbortController().signal).aborted).toBe(true);
  });
});

describe('the channels of a WebSocket', () => {
  let socket: FakeWebSocket;
  beforeEach(() => (socket = new FakeWebSocket()));
  const open = (protocol = V5): WebSocketChannels => new WebSocketChannels(asWebSocket(socket), protocol);
  const receive = (data: Buffer | string, isBinary = true): boolean =>
    socket.emit('message', Buffer.from(data as string), isBinary);
  const heard = (stream: Duplex): string[] => {
    const all: string[] = [];
    stream.on('data', (data: Buffer) => all.push(data.toString())).on('end', () => all.push('end'));
    return all;
  };

  it('are selected by the first byte, and data for no channel is dropped', async () => {
    const channels = open();
    const [first, other] = [heard(channels.open(0)), heard(channels.open(7))];
    for (const message of ['\0one', '\x07two', '\0', '', '\x01nobody', '\0three']) receive(message);
    await settle();
    expect([first, other]).toEqual([['one', 'three'], ['two']]);
    expect(socket.calls).toEqual(['resume']);
  });

  it('end with a message of 255 if the protocol allows it, and drop later data', async () => {
    const channels = open();
    const [first, other] = [heard(channels.open(0)), heard(channels.open(1))];
    // None of these ends channel 0: the end of another channel, a text message, an overlong message, and the
    // end of a channel that nobody has opened.
    receive(Buffer.from([255, 1]));
    receive(Buffer.from([255, 0]), false);
    receive(Buffer.from([255, 0, 0]));
    receive(Buffer.from([255, 9]));
    receive('\0still open');
    await settle();
    expect([first, other]).toEqual([['still open'], ['end']]);
    receive(Buffer.from([255, 0]));
    receive('\0too late');
    await settle();
    expect(first).toEqual(['still open', 'end']);
  });

  it('treat 255 like any other number before version 5', async () => {
    const channels = open(V4);
    const [first, strange] = [heard(channels.open(0)), heard(channels.open(255))];
    receive(Buffer.from([255, 0]));
    await settle();
    expect([first, strange]).toEqual([[], ['\0']]);
  });

  it('are digits and base64 if the client wants text', async () => {
    const channels = open(BASE64);
    const stdin = heard(channels.open(0));
    receive(`0${Buffer.from('in').toString('base64')}`, false);
    receive('0', false);
    receive('x', false);
    channels.open(1).write('out');
    await settle();
    expect([stdin, socket.sent, socket.binary]).toEqual([['in'], ['1b3V0'], [false]]);
    open().open(1).write('out');
    expect([socket.sent[1], socket.binary[1]]).toEqual([Buffer.from('\x01out'), true]);
  });

  it('accept messages in pieces, too', async () => {
    const stdin = heard(open().open(0));
    socket.emit('message', [Buffer.from('\0a'), Buffer.from('b')], true);
    const bytes = new Uint8Array(Buffer.from('\0c'));
    socket.emit('message', bytes.buffer, true);
    await settle();
    expect(stdin).toEqual(['ab', 'c']);
  });

  it('fail a write that does not reach the client', async () => {
    const channel = open().open(1);
    socket.sendError = new Error('closed');
    const failed = jest.fn();
    channel.write('lost', failed);
    await settle();
    expect(failed).toHaveBeenCalledWith(socket.sendError);
  });

  it('are closed with a reason that fits into the frame', () => {
    open().close('x'.repeat(200));
    expect(socket.calls).toEqual(['resume', `close 1008 ${'x'.repeat(123)}`]);
  });

  it('drop data after their close, and do not pause the client', async () => {
    const channels = open();
    channels.open(0);
    channels.close();
    for (let count = 0; count < 20; count++) {
      receive(Buffer.alloc(65_537));
      await settle();
    }
    expect(socket.calls).toEqual(['resume', 'close 1000']);
  });

  it('detect that the client has left', () => {
    const channels = open();
    const channel = channels.open(0);
    expect(channels.gone.aborted).toBe(false);
    socket.emit('close');
    expect([channels.gone.reason, channel.destroyed]).toEqual([
      new Error('the client has disconnected'),
      true,
    ]);
    // Later data counts as taken.
    receive('\0late');
    expect(socket.calls).toEqual(['resume']);
  });
});
