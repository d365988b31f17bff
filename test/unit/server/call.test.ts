import * as grpc from '@grpc/grpc-js';
import { failedPrecondition, internal, notFound, unavailable } from '../../../src/lib/errors';
import type { LogFields } from '../../../src/lib/logger';
import { RUNTIME_SERVICE } from '../../../src/proto/service';
import { echo, VersionServer, type Handler } from './version-server';

let room: VersionServer;
beforeEach(async () => {
  room = await VersionServer.start();
});
afterEach(() => room.stop());

it('a call answers what the handler returns and reports OK', async () => {
  await room.expectAlive();
  expect(room.reports).toEqual([{ method: 'Version', code: 'OK', seconds: expect.any(Number) as number }]);
  expect(room.errors).toEqual([]);
});

it.each([
  ['NOT_FOUND', notFound('no such pod')],
  ['UNAVAILABLE', unavailable('no such pod')],
  ['FAILED_PRECONDITION', failedPrecondition('no such pod')],
])(
  'a call that fails with %s answers with the code and the message, and logs nothing',
  async (code, error) => {
    room.handler = () => Promise.reject(error);
    expect(await room.failure()).toEqual({ code, details: 'no such pod' });
    expect(room.reports).toEqual([expect.objectContaining({ code })]);
    expect(room.errors).toEqual([]);
    await room.expectAlive();
  },
);

it('a call logs an INTERNAL error with its stack', async () => {
  room.handler = () => Promise.reject(internal('the impossible'));
  expect(await room.failure()).toEqual({ code: 'INTERNAL', details: 'the impossible' });
  expect(room.errors).toEqual([
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
  // A handler may reject with any value.
  const reason = thrown as Error;
  it.each<[string, Handler]>([
    ['as the reason of a rejection', () => Promise.reject(reason)],
    [
      'thrown synchronously',
      () => {
        throw thrown;
      },
    ],
  ])('%s is answered with INTERNAL and the method, and logged as a bug', async (_how, broken) => {
    room.handler = broken;
    expect(await room.failure()).toMatchObject({
      code: 'INTERNAL',
      details: expect.stringMatching(/^Version: /) as string,
    });
    expect(room.errors).toEqual([
      expect.objectContaining({ message: expect.stringContaining('bug') as string }),
    ]);
    expect(room.reports).toEqual([expect.objectContaining({ code: 'INTERNAL' })]);
    await room.expectAlive();
  });
});

it('a call fails when the guard rejects, and does not run the handler', async () => {
  const called = jest.fn(echo);
  room.handler = called;
  room.before = () => Promise.reject(unavailable('the Engine is down'));
  expect(await room.failure()).toEqual({ code: 'UNAVAILABLE', details: 'the Engine is down' });
  expect(called).not.toHaveBeenCalled();
  await room.expectAlive();
});

it('a call answers INTERNAL when the handler returns nothing', async () => {
  room.handler = () => Promise.resolve(undefined as unknown as { version: string });
  expect(await room.failure()).toMatchObject({ code: 'INTERNAL' });
  await room.expectAlive();
});

it('a call shortens an endless message, because headers are limited', async () => {
  room.handler = () => Promise.reject(notFound(`no pod ${'ä€\n'.repeat(1_000_000)}`));
  const { code, details } = await room.failure();
  expect(code).toBe('NOT_FOUND');
  expect(details).toMatch(/^no pod ä€\nä€/);
  expect(details.length).toBeLessThan(5_000);
  await room.expectAlive();
});

it('a call passes on any error text, and replaces only lone surrogates', async () => {
  const text = 'ä€😀 100% \r\n\t "x" \u0001 \ud800.';
  room.handler = () => Promise.reject(notFound(text));
  expect((await room.failure()).details).toBe(text.replace('\ud800', '\ufffd'));
});

it.each([
  ['a truncated length', Buffer.from([0x0a, 0xff])],
  ['a wrong wire type', Buffer.from([0x0f])],
  ['an endless varint', Buffer.alloc(64, 0xff)],
  ['random bytes', Buffer.from('83c7f09b02de', 'hex')],
])('a call answers INVALID_ARGUMENT for %s', async (_what, bytes) => {
  const called = jest.fn(echo);
  room.handler = called;
  await expect(room.send(bytes).answer).rejects.toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: expect.stringMatching(/^request: cannot be decoded/) as string,
  });
  expect(called).not.toHaveBeenCalled();
  await room.expectAlive();
});

it('a call answers RESOURCE_EXHAUSTED for a message above the limit', async () => {
  await expect(room.send(Buffer.alloc(1024 * 1024 + 1)).answer).rejects.toMatchObject({
    code: grpc.status.RESOURCE_EXHAUSTED,
  });
  await room.expectAlive();
});

it('a thousand simultaneous calls get their own answers', async () => {
  room.handler = (request, context) =>
    request.version.endsWith('7') ? Promise.reject(new Error(request.version)) : echo(request, context);
  const answers = await Promise.allSettled(
    Array.from(
      { length: 1000 },
      (_, index) => room.send(RUNTIME_SERVICE.Version.requestSerialize({ version: String(index) })).answer,
    ),
  );
  for (const [index, answer] of answers.entries()) {
    if (index % 10 === 7) expect(answer).toMatchObject({ status: 'rejected' });
    else if (answer.status === 'fulfilled')
      expect(RUNTIME_SERVICE.Version.responseDeserialize(answer.value).version).toBe(String(index));
    else throw answer.reason;
  }
});
