import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import {
  ended,
  endedSoon,
  endOutputs,
  LINGER_MS,
  REASON_MS,
  statusText,
} from '../../../src/streaming/remotecommand/command-client';
import { SpdyCommandClient } from '../../../src/streaming/remotecommand/spdy-client';
import { SpdyConnection } from '../../../src/streaming/spdy/connection';
import { settle } from '../support/async';
import { socketPair } from './support/sockets';

const EXITED = { kind: 'exited', code: 0 } as const;
const FAILED = { kind: 'failed', message: 'no' } as const;

/** A client's stream that accepts nothing. */
const stuck = (): Writable => new Writable({ write: () => undefined });
const taking = (): PassThrough => new PassThrough().resume();

describe('the end of outputs', () => {
  let stalled: AbortController;
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    stalled = new AbortController();
  });
  afterEach(() => jest.useRealTimers());

  const nothingIsLeft = (): void => {
    expect(jest.getTimerCount()).toBe(0);
    expect(getEventListeners(stalled.signal, 'abort')).toEqual([]);
  };

  /** Returns a function that says whether the end has come. */
  function followed(end: Promise<void>): () => boolean {
    let isOver = false;
    void end.then(() => (isOver = true));
    return () => isOver;
  }

  it.each([EXITED, FAILED])(
    'comes, for the outcome "$kind", when the client has taken everything, and leaves no timer and no listener',
    async (outcome) => {
      const outputs = [taking(), undefined, taking()];
      outputs[0]!.write('all of it');
      await endOutputs(outputs, outcome, stalled.signal);
      expect(outputs.map((output) => output?.writableFinished)).toEqual([true, undefined, true]);
      nothingIsLeft();
    },
  );

  it('is awaited for as long as the client reads, if the command has ended', async () => {
    const output = stuck();
    output.write('waits');
    const isOver = followed(endOutputs([output], EXITED, stalled.signal));
    await jest.advanceTimersByTimeAsync(3_600_000);
    await settle();
    expect(isOver()).toBe(false);
    stalled.abort();
    await settle();
    expect([isOver(), output.destroyed]).toEqual([true, true]);
    nothingIsLeft();
  });

  it('is awaited for a limited time if the session has failed', async () => {
    const output = stuck();
    output.write('waits');
    const isOver = followed(endOutputs([output], FAILED, stalled.signal));
    await jest.advanceTimersByTimeAsync(LINGER_MS - 1);
    expect(isOver()).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await settle();
    expect([isOver(), output.destroyed]).toEqual([true, true]);
    nothingIsLeft();
  });

  it('is not awaited if the client has stalled before', async () => {
    stalled.abort();
    const output = stuck();
    output.write('waits');
    await endOutputs([output], EXITED, stalled.signal);
    expect(output.destroyed).toBe(true);
    nothingIsLeft();
  });

  it('comes for a missing stream, and for one whose client has gone', async () => {
    await ended(undefined);
    const gone = stuck();
    gone.write('waits');
    const end = ended(gone);
    gone.destroy();
    await end;
  });

  it('is awaited for half a minute after the final status, and leaves no timer', async () => {
    await endedSoon(taking());
    nothingIsLeft();
    const output = stuck();
    output.write('waits');
    const isOver = followed(endedSoon(output));
    await jest.advanceTimersByTimeAsync(REASON_MS - 1);
    expect(isOver()).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await settle();
    expect(isOver()).toBe(true);
    nothingIsLeft();
  });
});

describe('a client over SPDY', () => {
  const wanted = { stdin: false, stdout: true, stderr: false, tty: false };
  let client: SpdyConnection;
  let far: Socket;
  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const pair = await socketPair();
    far = pair.far;
    client = new SpdyConnection(pair.near, { role: 'client', onStream: () => undefined });
    void client.run();
  });
  afterEach(() => {
    client.close();
    far.destroy();
    jest.useRealTimers();
  });

  it.each(['all its streams', 'too few of them'])('that opens %s leaves no timer', async (which) => {
    const { signal } = new AbortController();
    const names = which === 'too few of them' ? ['error'] : ['error', 'stdout'];
    const accepted = SpdyCommandClient.accept(far, wanted, 4, 10_000, signal);
    const streams = names.map((streamtype) => client.open(new Map([['streamtype', streamtype]])));
    if (which === 'too few of them') {
      jest.advanceTimersByTime(10_000);
      await expect(accepted).rejects.toThrow('did not open its streams within 10000 ms');
    } else {
      expect((await accepted).stdout).toBeDefined();
    }
    expect(jest.getTimerCount()).toBe(0);
    for (const stream of streams) stream.destroy();
  });
});

describe('statusText', () => {
  it('is JSON since version 4', () => {
    expect(JSON.parse(statusText({ kind: 'exited', code: 0 }, 4))).toEqual({
      metadata: {},
      status: 'Success',
    });
    expect(JSON.parse(statusText({ kind: 'exited', code: 137 }, 5))).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '137' }] },
    });
    expect(JSON.parse(statusText({ kind: 'failed', message: 'no' }, 4))).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      message: 'no',
      code: 500,
    });
  });

  it('is text in earlier versions, and empty for success', () => {
    expect(statusText({ kind: 'exited', code: 0 }, 3)).toBe('');
    expect(statusText({ kind: 'exited', code: 7 }, 1)).toContain('7');
    expect(statusText({ kind: 'failed', message: 'no' }, 2)).toBe('no');
  });
});
