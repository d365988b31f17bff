import * as grpc from '@grpc/grpc-js';
import { abortable } from '../../../src/lib/abortable';
import { failedPrecondition, internal, notFound, unavailable } from '../../../src/lib/errors';
import { silentLogger, type LogFields } from '../../../src/lib/logger';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { wrapUnary, type CallReport, type WrapOptions } from '../../../src/server/call';
import type { CallContext } from '../../../src/server/services';
import { RawHttp2Client } from '../../fakes/raw-http2-client';
import { same, startOneMethodServer, type OneMethodServer } from './one-method-server';

type Handler = (request: { version: string }, context: CallContext) => Promise<{ version: string }>;

let server: OneMethodServer;
let handler: Handler;
let before: WrapOptions['before'];
let reports: CallReport[];
let errors: { message: string; fields: LogFields | undefined }[];
let onReport: () => void;

const echo: Handler = ({ version }) => Promise.resolve({ version });

beforeEach(async () => {
  [handler, before, reports, errors, onReport] = [echo, undefined, [], [], () => undefined];
  const wrapped = wrapUnary<{ version: string }, { version: string }>(
    'Version',
    (request, context) => handler(request, context),
    {
      logger: { ...silentLogger, error: (message, fields) => void errors.push({ message, fields }) },
      before: async (context) => before?.(context),
      observe: (report) => {
        reports.push(report);
        onReport();
      },
    },
  );
  server = await startOneMethodServer(
    { Version: RUNTIME_SERVICE.Version },
    wrapped as grpc.UntypedHandleCall,
    { 'grpc.max_receive_message_length': 1024 * 1024 },
  );
});

afterEach(() => server.stop());

interface Running {
  readonly call: grpc.ClientUnaryCall;
  readonly answer: Promise<Buffer>;
}

/** Bytes in, bytes out: what is on the wire. */
function send(request: Buffer, options: grpc.CallOptions = {}): Running {
  let call!: grpc.ClientUnaryCall;
  const answer = new Promise<Buffer>((resolve, reject) => {
    call = server.client.makeUnaryRequest(
      RUNTIME_SERVICE.Version.path,
      same,
      same,
      request,
      new grpc.Metadata(),
      options,
      (error, reply) => (error ? reject(error) : resolve(reply ?? Buffer.alloc(0))),
    );
  });
  answer.catch(() => undefined);
  return { call, answer };
}

const HELLO = RUNTIME_SERVICE.Version.requestSerialize({ version: 'hello' });

async function failure(): Promise<{ code: string | undefined; details: string }> {
  const error = (await send(HELLO).answer.then(
    () => {
      throw new Error('the call should have failed');
    },
    (thrown: unknown) => thrown,
  )) as grpc.ServiceError;
  return { code: grpc.status[error.code], details: error.details };
}

/** Whatever happened before: the next call is served. */
async function expectAlive(): Promise<void> {
  [handler, before] = [echo, undefined];
  const { version } = RUNTIME_SERVICE.Version.responseDeserialize(await send(HELLO).answer);
  expect(version).toBe('hello');
}

function reported(): Promise<void> {
  return new Promise((resolve) => (onReport = resolve));
}

it('answers what the handler returns and reports OK', async () => {
  await expectAlive();
  expect(reports).toEqual([{ method: 'Version', code: 'OK', seconds: expect.any(Number) as number }]);
  expect(errors).toEqual([]);
});

it.each([
  ['NOT_FOUND', notFound('no such pod')],
  ['UNAVAILABLE', unavailable('no such pod')],
  ['FAILED_PRECONDITION', failedPrecondition('no such pod')],
])('answers %s for that error, with its message, and logs nothing', async (code, error) => {
  handler = () => Promise.reject(error);
  expect(await failure()).toEqual({ code, details: 'no such pod' });
  expect(reports).toEqual([expect.objectContaining({ code })]);
  expect(errors).toEqual([]);
  await expectAlive();
});

it('logs an INTERNAL error with its stack', async () => {
  handler = () => Promise.reject(internal('the impossible'));
  expect(await failure()).toEqual({ code: 'INTERNAL', details: 'the impossible' });
  expect(errors).toEqual([
    {
      message: 'Call failed',
      fields: expect.objectContaining({ stack: expect.stringContaining('call.test') as string }) as LogFields,
    },
  ]);
});

const unprintable = {
  toString: (): string => {
    throw new Error('even this');
  },
};

describe.each<[string, unknown]>([
  ['an Error', new TypeError('undefined is not a function')],
  ['a string', 'oh'],
  ['undefined', undefined],
  ['null', null],
  ['a number', 0],
  ['an object', { code: 5, details: 'pretends to be a status' }],
  ['an object without prototype', Object.create(null)],
  ['a symbol', Symbol('x')],
  ['an object that cannot be printed', unprintable],
])('%s', (_what, thrown) => {
  // Whatever it is, a handler may reject with it.
  const reason = thrown as Error;
  it.each<[string, Handler]>([
    ['rejected with', () => Promise.reject(reason)],
    [
      'thrown synchronously',
      () => {
        throw thrown;
      },
    ],
  ])('%s is answered INTERNAL, naming the method, and logged as a bug', async (_how, broken) => {
    handler = broken;
    expect(await failure()).toMatchObject({
      code: 'INTERNAL',
      details: expect.stringMatching(/^Version: /) as string,
    });
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining('bug') as string })]);
    expect(reports).toEqual([expect.objectContaining({ code: 'INTERNAL' })]);
    await expectAlive();
  });
});

it('answers when the guard before the handler rejects, and does not call the handler', async () => {
  const called = jest.fn(echo);
  [handler, before] = [called, () => Promise.reject(unavailable('the Engine is down'))];
  expect(await failure()).toEqual({ code: 'UNAVAILABLE', details: 'the Engine is down' });
  expect(called).not.toHaveBeenCalled();
  await expectAlive();
});

it('answers INTERNAL when the handler returns nothing', async () => {
  handler = () => Promise.resolve(undefined as unknown as { version: string });
  expect(await failure()).toMatchObject({ code: 'INTERNAL' });
  await expectAlive();
});

it('cuts an endless message: it travels in a header, and those are limited', async () => {
  handler = () => Promise.reject(notFound(`no pod ${'ä€\n'.repeat(1_000_000)}`));
  const { code, details } = await failure();
  expect(code).toBe('NOT_FOUND');
  expect(details).toMatch(/^no pod ä€\nä€/);
  expect(details.length).toBeLessThan(5_000);
  await expectAlive();
});

it('carries any text whole', async () => {
  const text = 'ä€😀 100% \r\n\t "x" \u0001 \ud800.';
  handler = () => Promise.reject(notFound(text));
  expect((await failure()).details).toBe(text.replace('\ud800', '\ufffd'));
});

it.each([
  ['a cut off length', Buffer.from([0x0a, 0xff])],
  ['a wrong wire type', Buffer.from([0x0f])],
  ['an endless varint', Buffer.alloc(64, 0xff)],
  ['random bytes', Buffer.from('83c7f09b02de', 'hex')],
])('answers INVALID_ARGUMENT for %s', async (_what, bytes) => {
  const called = jest.fn(echo);
  handler = called;
  await expect(send(bytes).answer).rejects.toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: expect.stringMatching(/^request: cannot be decoded/) as string,
  });
  expect(called).not.toHaveBeenCalled();
  await expectAlive();
});

it('answers RESOURCE_EXHAUSTED for a message above the limit', async () => {
  await expect(send(Buffer.alloc(1024 * 1024 + 1)).answer).rejects.toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
  });
  await expectAlive();
});

describe('the signal of a call', () => {
  /** Runs until its signal, and tells when it has begun and with what it ended. */
  function patient(): { begun: Promise<AbortSignal>; ended: Promise<unknown> } {
    let [begin, end]: [(signal: AbortSignal) => void, (reason: unknown) => void] = [
      () => undefined,
      () => undefined,
    ];
    const begun = new Promise<AbortSignal>((resolve) => (begin = resolve));
    const ended = new Promise<unknown>((resolve) => (end = resolve));
    handler = async (_request, { signal }) => {
      begin(signal);
      try {
        return await abortable(new Promise<never>(() => undefined), signal);
      } catch (error) {
        end(error);
        throw error;
      }
    };
    return { begun, ended };
  }

  it('fires when the client cancels', async () => {
    const { begun, ended } = patient();
    const { call, answer } = send(HELLO);
    await begun;
    const report = reported();
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await report;
    expect(reports).toEqual([expect.objectContaining({ code: 'CANCELLED' })]);
    await expectAlive();
  });

  it('fires when the deadline of the client passes', async () => {
    const { ended } = patient();
    const report = reported();
    await expect(send(HELLO, { deadline: Date.now() + 50 }).answer).rejects.toMatchObject({
      code: grpc.status.DEADLINE_EXCEEDED,
    });
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await report;
    await expectAlive();
  });

  it('fires when the client dies', async () => {
    const { begun, ended } = patient();
    const dying = new RawHttp2Client(server.socketPath);
    dying.greet();
    await dying.settings;
    const call = dying.call(RUNTIME_SERVICE.Version.path, HELLO, { authority: 'localhost' });
    call.catch(() => undefined);
    await begun;
    dying.socket.destroy();
    expect(await ended).toMatchObject({ code: 'CANCELLED' });
    await expectAlive();
  });

  it('a handler that ignores it keeps nobody: the client is gone, others are served', async () => {
    let begin!: () => void;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    handler = () => {
      begin();
      return new Promise(() => undefined);
    };
    const { call, answer } = send(HELLO);
    await begun;
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
    await expectAlive();
  });

  it('answers a handler that ends after the cancel without harm', async () => {
    let [begin, finish]: [() => void, () => void] = [() => undefined, () => undefined];
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const finished = new Promise<void>((resolve) => (finish = resolve));
    handler = async () => {
      begin();
      await finished;
      return { version: 'too late' };
    };
    const { call, answer } = send(HELLO);
    await begun;
    const report = reported();
    call.cancel();
    await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
    finish();
    await report;
    await expectAlive();
  });
});

it('serves a thousand calls at once, each its own answer', async () => {
  handler = (request, context) =>
    request.version.endsWith('7') ? Promise.reject(new Error(request.version)) : echo(request, context);
  const answers = await Promise.allSettled(
    Array.from(
      { length: 1000 },
      (_, index) => send(RUNTIME_SERVICE.Version.requestSerialize({ version: String(index) })).answer,
    ),
  );
  for (const [index, answer] of answers.entries()) {
    if (index % 10 === 7) expect(answer).toMatchObject({ status: 'rejected' });
    else if (answer.status === 'fulfilled')
      expect(RUNTIME_SERVICE.Version.responseDeserialize(answer.value).version).toBe(String(index));
    else throw answer.reason;
  }
});
