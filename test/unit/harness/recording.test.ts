import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { Recording, type RecordOptions } from '../../../src/harness/record';
import { readCalls, type ShownTape } from '../../../src/harness/show/calls';
import { silentLogger } from '../../../src/lib/logger';
import { RawHttp2Client } from '../../fakes/raw-http2-client';
import { startSourceWorker } from '../support/source-worker';
import { BareRuntime, BytesClient, LONG_HEADERS, message } from './support/runtime';

const VERSION = '/runtime.v1.RuntimeService/Version';
const STATUS = '/runtime.v1.RuntimeService/Status';
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents';

let runtime: BareRuntime;
let recording: Recording;
let client: BytesClient;
let warnings: string[];
const file = (): string => join(runtime.directory, 'a.tape');

async function start(more: Partial<RecordOptions> = {}): Promise<void> {
  recording = await Recording.start({
    ...{ listen: runtime.proxyEndpoint, upstream: runtime.endpoint, output: file(), full: false },
    ...{ logger: silentLogger, startWorker: startSourceWorker, warn: (text) => void warnings.push(text) },
    ...more,
  });
  // The recording has made calls for the head of the tape, which do not count here.
  runtime.calls.length = 0;
}

beforeEach(async () => {
  warnings = [];
  runtime = await BareRuntime.start();
  await start();
  client = new BytesClient(runtime.proxyEndpoint);
});
afterEach(async () => {
  client.close();
  await runtime.stop();
});

async function tape(): Promise<ShownTape> {
  const { isWhole, lost, calls, bytes } = await recording.stop();
  expect({ isWhole, lost, warnings }).toEqual({ isWhole: true, lost: 0, warnings: [] });
  expect(bytes).toBe((await readFile(file())).length);
  const shown = await readCalls(file());
  expect(shown.problems).toEqual([]);
  expect(shown.calls).toHaveLength(calls);
  return shown;
}

const ends = ({ calls }: ShownTape): unknown[] =>
  calls.map(({ method, status, by, details }) => [method, status, by, details]);

it('a recording contains answers, errors, metadata and streams', async () => {
  const metadata = new grpc.Metadata();
  metadata.add('x-mine', 'secret');
  await client.call(VERSION, Buffer.alloc(0), { deadline: Date.now() + 60_000 }, metadata).answer;
  runtime.answer = ({ stream }) =>
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': 'n%C3%B6' },
      { endStream: true },
    );
  await client.failure(STATUS, Buffer.alloc(0));
  runtime.answer = (call) => runtime.reply(call, Buffer.concat([message(''), message('')]));
  const stream = client.stream(EVENTS, Buffer.alloc(0));
  stream.resume();
  await once(stream, 'end');
  const shown = await tape();
  expect(ends(shown)).toEqual([
    ['Version', 'OK', undefined, undefined],
    ['Status', 'NOT_FOUND', undefined, 'nö'],
    ['GetContainerEvents', 'OK', undefined, undefined],
  ]);
  expect(shown.calls[0]?.deadline_ms).toBeGreaterThan(50_000);
  expect(shown.calls[2]?.messages).toBe(2);
  const text = await readFile(file(), 'utf8');
  expect(text).toContain('"metadata":{"x-mine":"hidden:');
  expect(text).not.toContain('secret');
});

it('a recording says who ended a call that has no answer', async () => {
  runtime.answer = () => undefined;
  let called = runtime.called();
  const { call, answer } = client.call(VERSION, Buffer.alloc(0));
  await called;
  call.cancel();
  await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
  const late = await client.failure(VERSION, Buffer.alloc(0), { deadline: Date.now() + 300 });
  expect(late.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  runtime.answer = ({ stream }) => stream.close(11);
  expect((await client.failure(VERSION, Buffer.alloc(0))).code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  runtime.answer = () => runtime.die();
  expect((await client.failure(STATUS, Buffer.alloc(0))).code).toBe(grpc.status.UNAVAILABLE);
  runtime.answer = (seen) => runtime.reply(seen, message('back'));
  await client.call(VERSION, Buffer.alloc(0), { deadline: Date.now() + 30_000 }).answer;
  runtime.answer = () => undefined;
  called = runtime.called();
  void client.call(STATUS, Buffer.alloc(0));
  await called;
  expect(ends(await tape())).toEqual([
    ['Version', 'CANCELLED', 'client', undefined],
    ['Version', 'DEADLINE_EXCEEDED', 'client', undefined],
    ['Version', 'RESOURCE_EXHAUSTED', 'runtime', 'reset with HTTP/2 code 11'],
    ['Status', 'UNAVAILABLE', 'runtime', 'the connection was closed'],
    ['Version', 'OK', undefined, undefined],
    ['Status', 'UNAVAILABLE', 'proxy', 'the connection was closed'],
  ]);
});

it('a recording shows calls that end because their client goes away', async () => {
  runtime.answer = () => undefined;
  const raw = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  raw.greet();
  await raw.settings;
  const called = runtime.called();
  void raw.call(VERSION, Buffer.alloc(0), { authority: 'localhost' }).catch(() => undefined);
  await called;
  raw.socket.destroy();
  while (runtime.sessions.size > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(ends(await tape())).toEqual([['Version', 'CANCELLED', 'client', undefined]]);
});

it('the runtime itself answers pings, and decides about the authority of an old client', async () => {
  const raw = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  raw.greet();
  await raw.settings;
  await raw.ping();
  const [session] = runtime.sessions;
  let pings = 0;
  session?.on('ping', () => pings++);
  await raw.ping();
  expect(pings).toBe(1);
  // This runtime is a Node.js server, which refuses the authority. The recorder does not interfere.
  await expect(raw.call(VERSION, Buffer.alloc(0))).rejects.toThrow('RST_STREAM 1');
  raw.socket.destroy();
  expect(ends(await tape())).toEqual([['Version', 'INTERNAL', 'runtime', 'reset with HTTP/2 code 1']]);
});

it('the tape has longer and more header fields than Node.js accepts by default', async () => {
  const long = 'x'.repeat(60_000);
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`x-${at}`, String(at)]));
  runtime.answer = (call) => runtime.reply(call, message(''), { 'grpc-message': long, 'grpc-status': '2' });
  const session = connect('http://localhost', {
    ...LONG_HEADERS,
    createConnection: () => connectSocket(runtime.proxyEndpoint.slice('unix://'.length)),
  });
  await once(session, 'remoteSettings');
  const stream = session.request({ ':method': 'POST', ':path': VERSION, 'x-more': long, ...many });
  stream.end(message(''));
  stream.resume();
  await once(stream, 'close');
  session.destroy();
  const [call] = (await tape()).calls;
  expect(call).toMatchObject({ method: 'Version', status: 'UNKNOWN', details: long });
  expect(await readFile(file(), 'utf8')).toContain('"x-299":"hidden:');
});

it('bytes that are not HTTP/2 pass, and the tape says that they were not read', async () => {
  await client.call(VERSION, Buffer.alloc(0)).answer;
  const raw = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  raw.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  await raw.closed;
  await client.call(VERSION, Buffer.alloc(0)).answer;
  const { isWhole, lost, calls } = await recording.stop();
  expect({ isWhole, lost, calls }).toEqual({ isWhole: false, lost: 1, calls: 2 });
  const why =
    'connection 2 is no longer recorded: the bytes that the client sent could not be decoded: not an HTTP/2 client';
  expect(warnings).toEqual([expect.stringContaining(why.slice(0, 70))]);
  const text = await readFile(file(), 'utf8');
  expect(text).toContain('"lost":1,"why":"connection 2 is no longer recorded: ');
  const { calls: shown, lost: told, problems } = await readCalls(file());
  expect(shown.map(({ status }) => status)).toEqual(['OK', 'OK']);
  expect([told, problems]).toEqual([1, []]);
});

it('a dead thread delays nothing, and the recording reports it', async () => {
  await recording.stop();
  await start({
    output: join(runtime.directory, 'b.tape'),
    startWorker: (entry, options) => {
      const worker = startSourceWorker(entry, options);
      worker.once('message', () => void worker.terminate());
      return worker;
    },
  });
  while (warnings.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const answer = await client.call(VERSION, Buffer.from('x'), { deadline: Date.now() + 30_000 }).answer;
  expect(String(answer)).toBe('x');
  const { isWhole, lost } = await recording.stop();
  expect(isWhole).toBe(false);
  expect(lost).toBeGreaterThan(0);
  expect(warnings).toEqual(['the tape has ended early: its thread ended']);
});

it('a recording whose socket is taken leaves no tape', async () => {
  const other = join(runtime.directory, 'other.tape');
  const more = { listen: runtime.proxyEndpoint, upstream: runtime.endpoint, output: other, full: false };
  await expect(
    Recording.start({
      ...{ ...more, logger: silentLogger, startWorker: startSourceWorker },
      warn: (text) => void warnings.push(text),
    }),
  ).rejects.toThrow();
  await expect(access(other)).rejects.toThrow('ENOENT');
  await tape();
});
