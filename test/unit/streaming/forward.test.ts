import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { RuntimeError } from '../../../src/lib/errors';
import { forward, forwardOverChannels } from '../../../src/streaming/port-forward/forward';
import { channelProtocol } from '../../../src/streaming/websocket/channels';
import { gate, settle, until } from '../support/async';
import { asWebSocket, FakeWebSocket } from './support/fake-web-socket';

const V4 = channelProtocol('v4.channel.k8s.io')!;

describe('a forwarded connection', () => {
  let data: Duplex;
  let error: PassThrough;
  /** The text that the client gets on the error stream. */
  let told: Promise<string>;
  let application: Duplex;
  let fromClient: PassThrough;
  let toClient: string[];
  beforeEach(() => {
    [fromClient, error, toClient] = [new PassThrough(), new PassThrough(), []];
    data = new NotedDuplex(fromClient, toClient);
    const all: string[] = [];
    told = once(
      error.on('data', (piece: Buffer) => all.push(piece.toString())),
      'close',
    ).then(() => all.join(''));
  });

  it('passes half-closes in both directions, and reports nothing', async () => {
    const [toApplication, fromApplication] = [[] as string[], new PassThrough()];
    application = new NotedDuplex(fromApplication, toApplication);
    const asked: unknown[] = [];
    const done = forward((port) => (asked.push(port), Promise.resolve(application)), 80, data, error);
    fromClient.end('question');
    await until(() => toApplication.includes('end'), 'the question');
    expect(toClient).toEqual([]);
    fromApplication.end('answer');
    await done;
    expect([toApplication, toClient]).toEqual([
      ['question', 'end'],
      ['answer', 'end'],
    ]);
    expect([asked, await told]).toEqual([[80], '']);
    expect([data.destroyed, error.destroyed, application.destroyed]).toEqual([true, true, true]);
  });

  it("reports why there is no connection, and drops the client's data", async () => {
    const done = forward(() => Promise.reject(new Error('refused')), 81, data, error);
    fromClient.end('unheard');
    await done;
    expect([await told, data.destroyed]).toEqual(['port 81: refused', true]);
  });

  it('cancels the attempt to connect when the client has left, but not for a half-close', async () => {
    let signal: AbortSignal | undefined;
    const connected = gate<Duplex>();
    const done = forward((_, given) => ((signal = given), connected.promise), 80, data, error);
    fromClient.end();
    await settle();
    expect(signal?.aborted).toBe(false);
    data.destroy();
    await settle();
    expect(signal?.reason).toEqual(new Error('the client has disconnected'));
    connected.reject(new Error('too late'));
    await done;
  });

  it('ends both sides when the application resets it, without a message', async () => {
    application = new NotedDuplex(new PassThrough(), []);
    const done = forward(() => Promise.resolve(application), 80, data, error);
    await settle();
    application.destroy(new Error('ECONNRESET'));
    await done;
    expect([await told, data.destroyed]).toEqual(['', true]);
  });

  it('tells a client why dockbridge has ended its stream', async () => {
    application = new NotedDuplex(new PassThrough(), []);
    const done = forward(() => Promise.resolve(application), 80, data, error);
    await settle();
    data.destroy(new RuntimeError('FAILED_PRECONDITION', 'the application does not read'));
    await done;
    expect([await told, application.destroyed]).toEqual(['port 80: the application does not read', true]);
  });
});

describe('port-forward over channels', () => {
  const connect = (port: number): Promise<Duplex> =>
    port === 1 ? Promise.reject(new Error('nobody there')) : new Promise(() => undefined);

  it('begins each channel with its port, reports those that fail, and closes when all have ended', async () => {
    const socket = new FakeWebSocket();
    const { signal } = new AbortController();
    await forwardOverChannels(asWebSocket(socket), V4, [1], connect, signal);
    const port = Buffer.from([1, 0]);
    expect(socket.sent).toEqual([
      Buffer.from([0, ...port]),
      Buffer.from([1, ...port]),
      Buffer.from('\x01port 1: nobody there'),
    ]);
    expect(socket.calls).toEqual(['resume', 'close 1000']);
  });

  it('numbers the channels of its ports in pairs', () => {
    const socket = new FakeWebSocket();
    const { signal } = new AbortController();
    void forwardOverChannels(asWebSocket(socket), V4, [80, 0x1234], connect, signal);
    expect(socket.sent).toEqual([
      ...[Buffer.from([0, 80, 0]), Buffer.from([1, 80, 0])],
      ...[Buffer.from([2, 0x34, 0x12]), Buffer.from([3, 0x34, 0x12])],
    ]);
  });

  it('tells a client that reads nothing why it is disconnected', () => {
    const socket = new FakeWebSocket();
    const stalled = new AbortController();
    void forwardOverChannels(asWebSocket(socket), V4, [80], connect, stalled.signal);
    stalled.abort(new RuntimeError('RESOURCE_EXHAUSTED', 'the client has read nothing'));
    expect(socket.calls).toEqual(['resume', 'close 1008 the client has read nothing']);
  });
});

/** A stream that reads from `from` and records what is written to it. */
class NotedDuplex extends Duplex {
  constructor(
    from: PassThrough,
    private readonly written: string[],
  ) {
    super();
    this.on('error', () => undefined);
    from.on('data', (piece: Buffer) => this.push(piece)).on('end', () => this.push(null));
  }

  override _read(): void {
    // The test pushes the data.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.written.push(chunk.toString());
    done();
  }

  override _final(done: () => void): void {
    this.written.push('end');
    done();
  }
}
