import { getEventListeners } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { notFound, unavailable } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { WorkGate } from '../../../src/lib/async/stopping';
import type { cri } from '../../../src/proto';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { wrapStream, type CallReport, type Messages, type StreamOptions } from '../../../src/server/call';
import type { CallContext } from '../../../src/server/services';
import { StalledClient } from '../../fakes/stalled-client';
import { gate, until } from '../support/async';
import { same, startOneMethodServer, type OneMethodServer } from './one-method-server';

type Response = cri.IStreamContainersResponse;
type Handler = (request: unknown, context: CallContext) => Messages<Response>;

let server: OneMethodServer;
let handler: Handler;
let before: StreamOptions['before'];
let closing: AbortController;
let reports: CallReport[];
let errors: string[];

beforeEach(async () => {
  [before, reports, errors, closing] = [undefined, [], [], new AbortController()];
  const wrapped = wrapStream<unknown, Response>(
    'StreamContainers',
    (request, context) => handler(request, context),
    {
      logger: { ...silentLogger, error: (message) => void errors.push(message) },
      calls: new WorkGate(),
      before: async (context) => before?.(context),
      observe: (report) => reports.push(report),
      closing: closing.signal,
    },
  );
  server = await startOneMethodServer(
    { StreamContainers: RUNTIME_SERVICE.StreamContainers },
    wrapped as grpc.UntypedHandleCall,
    { 'grpc.max_send_message_length': 1024 * 1024 },
  );
});

afterEach(() => server.stop());

function open(request = Buffer.alloc(0)): grpc.ClientReadableStream<Buffer> {
  const call = server.client.makeServerStreamRequest(
    RUNTIME_SERVICE.StreamContainers.path,
    same,
    same,
    request,
  );
  call.on('error', () => undefined);
  return call;
}

/** Returns the ids of the containers, and then the status of the stream. */
async function read(call = open()): Promise<string[]> {
  const ended = new Promise<string>((resolve) =>
    call.on('status', ({ code, details }) => resolve(`${grpc.status[code]} ${details}`)),
  );
  const ids: string[] = [];
  call.on('data', (bytes: Buffer) => {
    for (const { id } of RUNTIME_SERVICE.StreamContainers.responseDeserialize(bytes).containers) ids.push(id);
  });
  const status = await ended;
  return [...ids, status];
}

function* messages(...ids: string[]): Generator<Response> {
  for (const id of ids) yield { containers: [{ id }] };
}

describe('wrapStream', () => {
  it('sends what the handler yields and ends with OK', async () => {
    handler = () => messages('a', 'b', 'c');
    expect(await read()).toEqual(['a', 'b', 'c', 'OK OK']);
    expect(reports).toEqual([
      { method: 'StreamContainers', code: 'OK', seconds: expect.any(Number) as number },
    ]);
    expect(errors).toEqual([]);
    expect(getEventListeners(closing.signal, 'abort')).toEqual([]);
  });

  it.each<[string, Handler, string[]]>([
    [
      'is called',
      () => {
        throw notFound('no such thing');
      },
      ['NOT_FOUND no such thing'],
    ],
    [
      'has sent something',
      function* () {
        yield* messages('a');
        throw notFound('no such thing');
      },
      ['a', 'NOT_FOUND no such thing'],
    ],
  ])(
    'answers with the code of the error when the handler throws after it %s',
    async (_, throwing, expected) => {
      handler = throwing;
      expect(await read()).toEqual(expected);
      expect(reports).toMatchObject([{ code: 'NOT_FOUND' }]);
      expect(getEventListeners(closing.signal, 'abort')).toEqual([]);
    },
  );

  it('answers INTERNAL for a bug, and logs it', async () => {
    handler = () => {
      throw new TypeError('undefined is not a function');
    };
    expect(await read()).toEqual([
      'INTERNAL StreamContainers: unexpected error: undefined is not a function',
    ]);
    expect(errors).toEqual(['Call failed unexpectedly: this is a bug']);
  });

  it('refuses an invalid request', async () => {
    handler = () => messages('a');
    const [answer] = await read(open(Buffer.from([0xff])));
    expect(answer).toMatch(/^INVALID_ARGUMENT request: cannot be decoded/);
  });

  it('checks the guard before it calls the handler', async () => {
    before = () => Promise.reject(unavailable('no Engine'));
    handler = () => messages('a');
    expect(await read()).toEqual(['UNAVAILABLE no Engine']);
  });

  it('sends headers as soon as the handler runs, before any message', async () => {
    let begun = false;
    const go = gate();
    handler = () => {
      begun = true;
      return (async function* () {
        await go.promise;
        yield* messages('a');
      })();
    };
    const call = open();
    await new Promise((resolve) => call.on('metadata', resolve));
    expect(begun).toBe(true);
    go.resolve();
    expect(await read(call)).toEqual(['a', 'OK OK']);
  });

  it('ends a waiting handler by its signal when the client cancels', async () => {
    const seen = gate<unknown>();
    handler = (_, { signal }) =>
      (async function* () {
        yield* messages('a');
        try {
          await new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        } catch (error) {
          seen.resolve(error);
          throw error;
        }
      })();
    const call = open();
    call.once('data', () => call.cancel());
    await expect(seen.promise).resolves.toMatchObject({ code: 'CANCELLED' });
    await until(() => reports.length === 1, 'the report');
    expect(reports).toMatchObject([{ code: 'CANCELLED' }]);
  });

  it('makes no more messages than the client accepts', async () => {
    let made = 0;
    const cleaned = gate();
    handler = () =>
      (function* () {
        try {
          for (; made < 1_000; made++) yield { containers: [{ id: 'x'.repeat(100_000) }] };
        } finally {
          cleaned.resolve();
        }
      })();
    const stalled = await StalledClient.open(server.socketPath, RUNTIME_SERVICE.StreamContainers.path);
    // In the meantime another client of the same server receives a thousand messages. This takes longer than
    // sending as many to the stalled client would.
    const call = open();
    let taken = 0;
    await new Promise((resolve) => call.on('data', () => taken++).on('end', resolve));
    expect(taken).toBeGreaterThan(900);
    expect(1_000 - taken).toBeLessThan(10);
    stalled.close();
    await cleaned.promise;
  });

  it('ends a stream with the reason when the server closes', async () => {
    handler = (_, { signal }) =>
      (async function* () {
        yield* messages('a');
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        );
      })();
    const call = open();
    call.once('data', () => closing.abort(unavailable('shutting down')));
    expect((await read(call)).at(-1)).toBe('UNAVAILABLE shutting down');
  });

  it('does not hang on a message that is too large', async () => {
    const cleaned = gate();
    handler = () =>
      (function* () {
        try {
          yield { containers: [{ id: 'x'.repeat(2 * 1024 * 1024) }] };
        } finally {
          cleaned.resolve();
        }
      })();
    expect((await read()).at(-1)).toMatch(/^RESOURCE_EXHAUSTED Sent message larger than max/);
    await cleaned.promise;
  });
});
