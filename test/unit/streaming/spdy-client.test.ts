import type { Socket } from 'node:net';
import { LINGER_MS, REASON_MS } from '../../../src/streaming/remotecommand/command-client';
import { SpdyCommandClient } from '../../../src/streaming/remotecommand/spdy-client';
import { SpdyConnection } from '../../../src/streaming/spdy/connection';
import { controlFrame, FrameType, words } from '../../../src/streaming/spdy/frames';
import { HeaderEncoder } from '../../../src/streaming/spdy/headers';
import type { SpdyStream } from '../../../src/streaming/spdy/stream';
import { settle, until } from '../support/async';
import { socketPair } from './support/sockets';

const ALL = { stdin: true, stdout: true, stderr: true, tty: true };
const NAMES = ['error', 'stdin', 'stdout', 'stderr', 'resize'] as const;

describe('a client of exec or attach over SPDY', () => {
  let peer: SpdyConnection;
  let far: Socket;
  let near: Socket;
  let stalled: AbortController;
  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    ({ near, far } = await socketPair());
    stalled = new AbortController();
    peer = new SpdyConnection(near, { role: 'client', onStream: () => undefined });
    void peer.run();
  });
  afterEach(async () => {
    near.destroy();
    await until(() => far.destroyed, 'the end of the connection');
    await settle();
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  const open = (streamtype: string): SpdyStream => peer.open(new Map([['streamtype', streamtype]]));
  const accept = (wanted = ALL, version = 4): Promise<SpdyCommandClient> =>
    SpdyCommandClient.accept(far, wanted, version, 10_000, stalled.signal);
  async function connected(wanted = ALL, version = 4) {
    const accepted = accept(wanted, version);
    const streams = Object.fromEntries(NAMES.map((name) => [name, open(name)]));
    return { client: await accepted, streams: streams as Record<(typeof NAMES)[number], SpdyStream> };
  }
  function heard(stream: SpdyStream): () => string {
    let all = '';
    stream.on('data', (piece: Buffer) => (all += piece.toString())).on('end', () => (all += '|'));
    return () => all;
  }

  it('has exactly the requested streams, each once, by names in any case', async () => {
    const accepted = accept({ ...ALL, stderr: false });
    const [again, stray] = [[open('ERROR'), open('error')], open('stderr')];
    for (const name of ['Stdin', 'STDOUT', 'resize']) open(name);
    const client = await accepted;
    expect([client.stdin !== undefined, client.stdout !== undefined, client.stderr]).toEqual([
      true,
      true,
      undefined,
    ]);
    await until(() => again[1]!.destroyed && stray.destroyed, 'the refusals');
    expect(again[0]!.destroyed).toBe(false);
  });

  it('gets the output before the status, and is disconnected if it does not leave in time', async () => {
    const { client, streams } = await connected();
    const [out, error] = [heard(streams.stdout), heard(streams.error)];
    client.stdout!.write('out');
    let isOver = false;
    const finished = client.finish({ kind: 'exited', code: 0 }).then(() => (isOver = true));
    await until(() => error().endsWith('|'), 'the outcome');
    expect([out(), error()]).toEqual(['out|', '{"metadata":{},"status":"Success"}|']);
    await until(() => jest.getTimerCount() === 1, 'the wait for the client');
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    await settle();
    expect([far.writableEnded, isOver]).toEqual([false, false]);
    await jest.advanceTimersByTimeAsync(1);
    await finished;
    expect([far.writableEnded, far.destroyed]).toEqual([true, true]);
  });

  it('is disconnected if it never leaves', async () => {
    const pair = await socketPair();
    const wanted = { stdin: false, stdout: true, stderr: false, tty: false };
    const accepted = SpdyCommandClient.accept(pair.far, wanted, 4, 10_000, stalled.signal);
    const encoder = new HeaderEncoder();
    for (const [at, streamtype] of ['error', 'stdout'].entries()) {
      const headers = encoder.encode(new Map([['streamtype', streamtype]]));
      const block = Buffer.concat([words(2 * at + 1, 0), Buffer.alloc(2), headers]);
      pair.near.write(controlFrame(FrameType.SYN_STREAM, 0, block));
    }
    // The client reads, and does nothing else.
    pair.near.resume();
    const finished = (await accepted).finish({ kind: 'exited', code: 0 });
    await until(() => jest.getTimerCount() === 1, 'the wait for the client');
    await jest.advanceTimersByTimeAsync(LINGER_MS);
    await until(() => jest.getTimerCount() === 1, 'the next wait');
    expect([pair.far.writableEnded, pair.far.destroyed]).toEqual([true, false]);
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    expect(pair.far.destroyed).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await finished;
    expect(pair.far.destroyed).toBe(true);
    for (const socket of [pair.near, far]) socket.destroy();
  });

  it('is not awaited once it has left', async () => {
    const { client, streams } = await connected();
    for (const stream of Object.values(streams)) stream.resume();
    const finished = client.finish({ kind: 'exited', code: 0 });
    await until(() => streams.error.readableEnded, 'the outcome');
    near.destroy();
    await finished;
    expect(client.gone.reason).toEqual(new Error('the client has disconnected'));
  });

  it('of version 2 gets a failure as text', async () => {
    const { client, streams } = await connected({ ...ALL, tty: false }, 2);
    const error = heard(streams.error);
    await until(() => streams.resize.destroyed, 'the refusal of sizes');
    const finished = client.finish({ kind: 'failed', message: 'no such command' });
    for (const stream of [streams.stdout, streams.stderr]) stream.resume();
    await until(() => error().endsWith('|'), 'the outcome');
    expect(error()).toBe('no such command|');
    near.destroy();
    await finished;
  });

  it('sends sizes, and input that nobody reads does not delay its end', async () => {
    const { client, streams } = await connected();
    streams.resize.write('{"Width":132,"Height":43}');
    expect(await client.sizes.first(60_000, client.gone)).toEqual({ width: 132, height: 43 });
    for (const stream of [streams.stdout, streams.stderr, streams.error]) stream.resume();
    streams.stdin.end(Buffer.alloc(500_000));
    const finished = client.finish({ kind: 'exited', code: 0 });
    await until(() => streams.error.readableEnded, 'the outcome');
    await until(() => streams.stdin.writableFinished, 'the end of the input');
    near.destroy();
    await finished;
  });

  it('that has stalled has half a minute to read the reason, and is then disconnected', async () => {
    const { client } = await connected();
    near.pause();
    stalled.abort(new Error('the client has read nothing'));
    expect(client.gone.reason).toEqual(new Error('the client has read nothing'));
    const finished = client.finish({ kind: 'failed', message: 'dropped', dropped: true });
    await settle();
    await jest.advanceTimersByTimeAsync(REASON_MS + 2 * LINGER_MS);
    await finished;
    expect(far.destroyed).toBe(true);
  });

  it('that leaves before its streams are there has no session', async () => {
    const accepted = accept();
    open('error');
    near.destroy();
    await expect(accepted).rejects.toThrow('the client has disconnected');
    expect(far.destroyed).toBe(true);
  });
});
