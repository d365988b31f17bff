import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { PassThrough, type Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { dialLoopback } from '../../../src/streaming/port-forward/dial';
import { forwardOverSpdy } from '../../../src/streaming/port-forward/forward';
import { SpdyConnection } from '../../../src/streaming/spdy/connection';
import type { SpdyStream } from '../../../src/streaming/spdy/stream';
import { settle, until } from '../support/async';
import { socketPair } from './support/sockets';

const OPEN_MS = 10_000;

describe('port-forward over SPDY', () => {
  let client: SpdyConnection;
  let clientEnd: Duplex;
  let stalled: AbortController;
  let done: Promise<void>;
  let connected: number[];

  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const { near, far } = await socketPair();
    [clientEnd, stalled, connected] = [near, new AbortController(), []];
    client = new SpdyConnection(near, { role: 'client', onStream: (stream) => stream.destroy() });
    void client.run();
    const connect = (port: number): Promise<Duplex> => {
      connected.push(port);
      return port === 1 ? Promise.reject(new Error('nobody there')) : Promise.resolve(new PassThrough());
    };
    done = forwardOverSpdy(far, connect, { openMs: OPEN_MS, stuckMs: 1_000, stalled: stalled.signal });
  });
  afterEach(async () => {
    clientEnd.destroy();
    await done;
    // Neither half pairs nor connections have left a timer.
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  const open = (headers: Record<string, string>): SpdyStream => client.open(new Map(Object.entries(headers)));
  const pair = (more: Record<string, string>): { error: SpdyStream; data: SpdyStream } => {
    const error = open({ streamtype: 'error', ...more });
    // Kubernetes' clients send nothing on this stream.
    error.end();
    return { error, data: open({ streamtype: 'data', ...more }) };
  };

  async function echoes({ data }: { data: SpdyStream }, said: string): Promise<void> {
    data.end(said);
    expect(await text(data)).toBe(said);
  }

  it('joins the two streams of a request in any order', async () => {
    await echoes(pair({ port: '80', requestid: '1' }), 'one');
    const data = open({ streamtype: 'data', port: '81', requestid: '2' });
    open({ streamtype: 'error', port: '81', requestid: '2' });
    await echoes({ data }, 'two');
    expect(connected).toEqual([80, 81]);
  });

  it('joins the streams of old clients, which send no request ID, by their numbers', async () => {
    // A stream without a partner is not joined to another one.
    open({ streamtype: 'error', port: '79' });
    const [first, second] = [pair({ port: '80' }), pair({ port: '81' })];
    await echoes(second, 'two');
    await echoes(first, 'one');
    expect(connected).toEqual([80, 81]);
  });

  it('accepts no second stream of the same kind for the pair', async () => {
    const error = open({ streamtype: 'error', port: '80', requestid: '1' });
    const again = open({ streamtype: 'error', port: '80', requestid: '1' });
    await until(() => again.destroyed, 'the refusal');
    expect(error.destroyed).toBe(false);
    await echoes({ data: open({ streamtype: 'data', port: '80', requestid: '1' }) }, 'still whole');
  });

  it.each([
    { streamtype: 'stdin', port: '80', requestid: '1' },
    { streamtype: 'data', requestid: '1' },
    ...['0', '65536', '-1', '80x', ''].map((port) => ({ streamtype: 'data', port, requestid: '1' })),
  ])('refuses a stream with the headers %p', async (headers) => {
    const stream = open(headers);
    await until(() => stream.destroyed, 'the refusal');
    expect(connected).toEqual([]);
  });

  it('gives up on half a pair after a while, and never on a complete one', async () => {
    const whole = pair({ port: '80', requestid: '1' });
    const half = open({ streamtype: 'error', port: '80', requestid: '2' });
    await until(() => jest.getTimerCount() === 1 && connected.length === 1, 'the half');
    jest.advanceTimersByTime(OPEN_MS - 1);
    await settle();
    expect(half.destroyed).toBe(false);
    jest.advanceTimersByTime(1);
    await until(() => half.destroyed, 'the end of the half');
    await echoes(whole, 'whole');
  });

  it('leaves no timer of half a pair when its client goes', async () => {
    open({ streamtype: 'error', port: '80', requestid: '1' });
    await until(() => jest.getTimerCount() === 1, 'the half');
    clientEnd.destroy();
    await done;
    expect(jest.getTimerCount()).toBe(0);
  });

  it('reports a port that does not answer, and serves the others', async () => {
    const { error } = pair({ port: '1', requestid: '1' });
    expect(await text(error)).toBe('port 1: nobody there');
    await echoes(pair({ port: '80', requestid: '2' }), 'served');
  });

  it('ends when its client has stalled', async () => {
    const { data } = pair({ port: '80', requestid: '1' });
    await until(() => connected.length === 1, 'the connection');
    stalled.abort();
    await done;
    await until(() => data.destroyed, 'the end');
  });
});

describe('a connection over loopback', () => {
  let server: Server | undefined;
  afterEach(
    () => new Promise<unknown>((resolve) => (server === undefined ? resolve(0) : server.close(resolve))),
  );

  it('uses IPv4, has not read anything yet, and leaves no timer', async () => {
    server = createServer((socket) => void socket.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const timers = jest.spyOn(global, 'setTimeout');
    const cleared = jest.spyOn(global, 'clearTimeout');
    try {
      const socket = await dialLoopback((server.address() as AddressInfo).port);
      expect([socket.isPaused(), socket.bytesRead]).toEqual([true, 0]);
      expect(cleared).toHaveBeenCalledWith(timers.mock.results[0]?.value);
      expect(await text(socket)).toBe('hello');
      socket.destroy();
    } finally {
      timers.mockRestore();
      cleared.mockRestore();
    }
  });

  it('is tried over both families, and each refusal is reported', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    // A machine without IPv6 reports that, and not a refusal.
    await expect(dialLoopback(port)).rejects.toThrow(
      /^127\.0\.0\.1: connection refused \(ECONNREFUSED\); ::1: (connection refused \()?E[A-Z]+/,
    );
  });
});
