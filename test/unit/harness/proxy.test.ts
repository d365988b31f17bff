import { EventEmitter, once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect, type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { CriProxy } from '../../../src/harness/proxy/cri-proxy';
import { relay, type CallTap } from '../../../src/harness/proxy/relay';
import { loggerInto, silentLogger, thresholdOf } from '../../../src/lib/logger';
import { RawHttp2Client } from '../../fakes/raw-http2-client';
import { gate } from '../support/async';
import { BareRuntime, BytesClient, LONG_HEADERS, message, NO_TAP, startProxy } from './support/runtime';

const VERSION = '/runtime.v1.RuntimeService/Version';
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents';

let runtime: BareRuntime;
let proxy: CriProxy;
let client: BytesClient;
const ends: Parameters<CallTap['closed']>[0][] = [];
const warnings: string[] = [];
let onBytes: () => void;

beforeEach(async () => {
  runtime = await BareRuntime.start();
  ends.length = 0;
  warnings.length = 0;
  onBytes = () => undefined;
  proxy = await startProxy(
    runtime,
    undefined,
    () => ({
      ...NO_TAP,
      responseBytes: () => onBytes(),
      closed: (end) => void ends.push(end),
    }),
    loggerInto((_level, text) => void warnings.push(text()), thresholdOf('warn')),
  );
  client = new BytesClient(runtime.proxyEndpoint);
});
afterEach(async () => {
  client.close();
  await proxy.close();
  await runtime.stop();
});

it('the proxy passes bytes in both directions, even if they are not CRI messages', async () => {
  const request = Buffer.from([0xff, 0, 1, 2]);
  expect(await client.call('/some.other.Service/Method', request).answer).toEqual(request);
  expect(runtime.calls[0]?.path).toBe('/some.other.Service/Method');
  expect(runtime.calls[0]?.body).toEqual(Buffer.concat([Buffer.from([0, 0, 0, 0, 4]), request]));
  expect(ends).toEqual([{ by: 'runtime', reset: 0 }]);
});

it('the proxy passes messages of megabytes', async () => {
  const request = Buffer.alloc(3_000_000, 'abc');
  const answer = await client.call(VERSION, request).answer;
  expect(answer.equals(request)).toBe(true);
});

it('the proxy passes metadata unchanged, including binary and repeated fields', async () => {
  const metadata = new grpc.Metadata();
  metadata.add('traceparent', '00-abc');
  metadata.add('x-bin', Buffer.from([1, 2]));
  metadata.add('x-bin', Buffer.from([3]));
  await client.call(VERSION, Buffer.from('x'), { deadline: Date.now() + 60_000 }, metadata).answer;
  const { headers } = runtime.calls[0]!;
  const of = (name: string): string[] => headers.filter((_, at) => at % 2 === 1 && headers[at - 1] === name);
  expect(of('traceparent')).toEqual(['00-abc']);
  expect(of('x-bin').map((value) => value.replace(/=+$/, ''))).toEqual(['AQI', 'Aw']);
  expect(of('grpc-timeout')).toEqual([expect.stringMatching(/^\d+[mSunMH]$/)]);
});

it('the proxy passes headers, trailers and the details of a status, and adds no field', async () => {
  runtime.answer = ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-head': ['a', 'b'] }, {
      waitForTrailers: true,
      sendDate: false,
    } as object);
    stream.once('wantTrailers', () =>
      stream.sendTrailers({
        'grpc-status': '9',
        'grpc-message': 'not%20now',
        'grpc-status-details-bin': 'CAkSB25vdCBub3c',
        'x-tail': 'z',
      }),
    );
    stream.end();
  };
  const raw = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  raw.greet();
  await raw.settings;
  const { headers } = await raw.call(VERSION, Buffer.alloc(0), { authority: 'localhost' });
  raw.socket.destroy();
  expect(headers).toEqual({
    ':status': '200',
    'content-type': 'application/grpc',
    'x-head': 'b',
    'grpc-status': '9',
    'grpc-message': 'not%20now',
    'grpc-status-details-bin': 'CAkSB25vdCBub3c',
    'x-tail': 'z',
  });
});

it('the proxy passes header fields and trailers that are longer, or more, than Node.js allows by default', async () => {
  // nghttp2 allows 64 KiB for a field, and nine frames of 16 KiB.
  const long = 'x'.repeat(60_000);
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`x-${at}`, String(at)]));
  runtime.answer = (call) => runtime.reply(call, message('hi'), { 'x-tail': long, 'x-more': long });
  const path = runtime.proxyEndpoint.slice('unix://'.length);
  const session = connect('http://localhost', {
    ...LONG_HEADERS,
    createConnection: () => connectSocket(path),
  });
  await once(session, 'remoteSettings');
  const stream = session.request({
    ':method': 'POST',
    ':path': VERSION,
    te: 'trailers',
    'x-head': long,
    'x-more': long,
    ...many,
  });
  stream.end(message(''));
  stream.resume();
  const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
  session.destroy();
  expect(trailers['x-tail']).toBe(long);
  const { headers } = runtime.calls[0]!;
  expect(headers[headers.indexOf('x-head') + 1]).toBe(long);
  expect(headers).toContain('x-299');
});

it('the proxy passes a request without any bytes, even as the first one of a connection', async () => {
  const path = runtime.proxyEndpoint.slice('unix://'.length);
  const session = connect('http://localhost', { createConnection: () => connectSocket(path) });
  const stream = session.request({ ':method': 'POST', ':path': VERSION, te: 'trailers' });
  stream.end();
  stream.resume();
  const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
  session.destroy();
  expect(trailers['grpc-status']).toBe('0');
});

it('the proxy passes an answer that consists only of headers', async () => {
  runtime.answer = ({ stream }) =>
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': 'gone' },
      { endStream: true },
    );
  await expect(client.call(VERSION, Buffer.alloc(0)).answer).rejects.toMatchObject({
    code: grpc.status.NOT_FOUND,
    details: 'gone',
  });
});

it('the proxy serves a client of Kubernetes 1.24, whose authority is the path of the socket', async () => {
  const old = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  old.greet();
  await old.settings;
  const { messages } = await old.call('/runtime.v1alpha2.RuntimeService/Version', Buffer.from('old'));
  expect(messages).toEqual([Buffer.from('old')]);
  old.socket.destroy();
});

it('the proxy passes a cancellation to the runtime', async () => {
  const cancelled = gate();
  runtime.answer = ({ stream }) => void once(stream, 'close').then(() => cancelled.resolve());
  const { call, answer } = client.call(VERSION, Buffer.alloc(0));
  await runtime.called();
  call.cancel();
  await expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED });
  await cancelled.promise;
  expect(runtime.calls[0]?.stream.rstCode).toBe(8);
  expect(ends).toEqual([{ by: 'client', reset: 8 }]);
});

it('the proxy ends the call at the runtime when its deadline has passed', async () => {
  const ended = gate();
  runtime.answer = ({ stream }) => void once(stream, 'close').then(() => ended.resolve());
  const error = await client.failure(VERSION, Buffer.alloc(0), { deadline: Date.now() + 4_000 });
  expect(error.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  await ended.promise;
});

it('the proxy passes messages of a stream as they come, and the end of the stream', async () => {
  const answered = gate<Parameters<BareRuntime['answer']>[0]>();
  runtime.answer = (call) => answered.resolve(call);
  const stream = client.stream(EVENTS, Buffer.alloc(0));
  const call = await answered.promise;
  call.stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  call.stream.once('wantTrailers', () =>
    call.stream.sendTrailers({ 'grpc-status': '14', 'grpc-message': 'bye' }),
  );
  await once(stream, 'metadata');
  for (const word of ['one', 'two', 'three']) {
    const next = once(stream, 'data');
    call.stream.write(message(word));
    expect(String((await next)[0])).toBe(word);
  }
  const failed = once(stream, 'error');
  call.stream.end();
  expect((await failed)[0]).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'bye' });
});

it('the proxy passes a reset by the runtime with its code', async () => {
  runtime.answer = ({ stream }) => stream.close(11);
  const error = await client.failure(VERSION, Buffer.alloc(0));
  expect(error.code).toBe(grpc.status.RESOURCE_EXHAUSTED);
  expect(ends).toEqual([{ by: 'runtime', reset: 11 }]);
});

it('the proxy drops the clients of a runtime that dies, and connects the next call to the new runtime', async () => {
  runtime.answer = () => runtime.die();
  const error = await client.failure(VERSION, Buffer.alloc(0));
  expect(error.code).toBe(grpc.status.UNAVAILABLE);
  expect(ends).toEqual([{ by: 'runtime', reset: undefined }]);
  runtime.answer = (call) => runtime.reply(call, message('back'));
  const { answer } = client.call(VERSION, Buffer.alloc(0), { deadline: Date.now() + 30_000 });
  expect(String(await answer)).toBe('back');
});

it('the proxy names a runtime that does not answer', async () => {
  const endpoint = `${runtime.proxyEndpoint}2`;
  const alone = new CriProxy({
    listen: endpoint,
    upstream: 'unix:///nowhere/there.sock',
    logger: silentLogger,
    tap: () => NO_TAP,
    handle: (call) => relay(call),
  });
  await alone.listen();
  const other = new BytesClient(endpoint);
  const error = await other.failure(VERSION, Buffer.alloc(0));
  other.close();
  await alone.close();
  expect(error.code).toBe(grpc.status.UNAVAILABLE);
  // Under jest, the Error class of Node.js differs from that of the modules. The text then begins with the
  // name of the class.
  expect(error.details).toMatch(
    /^unix:\/\/\/nowhere\/there.sock does not answer: (Error: )?connect ENOENT \/nowhere\/there.sock$/,
  );
});

it('the proxy fails a call that Node.js does not send, without a refusal that the client would retry forever', async () => {
  const raw = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  raw.greet();
  await raw.settings;
  const twice = {
    authority: 'localhost',
    fields: [['content-type', 'application/grpc']] as [string, string][],
  };
  await expect(raw.call(VERSION, Buffer.alloc(0), twice)).rejects.toThrow('RST_STREAM 2');
  raw.socket.destroy();
  expect(ends).toEqual([{ by: 'proxy', reset: 2 }]);
  expect(warnings).toEqual([expect.stringContaining(`${VERSION} cannot be passed on: `)]);
});

it('the proxy refuses a call that comes after the runtime has sent GOAWAY', () => {
  const stub = {
    ...{
      path: VERSION,
      headers: [],
      drop: () => undefined,
      warn: (text: string) => void warnings.push(text),
    },
    runtime: {
      request: () => {
        throw Object.assign(new Error('gone'), { code: 'ERR_HTTP2_GOAWAY_SESSION' });
      },
    } as unknown as ClientHttp2Session,
    stream: Object.assign(new EventEmitter(), {
      close: (code: number) => void codes.push(code),
    }) as unknown as ServerHttp2Stream,
    tap: { ...NO_TAP, closed: (end: (typeof ends)[number]) => void ends.push(end) },
  };
  const codes: number[] = [];
  relay(stub);
  expect(codes).toEqual([7]);
  expect(ends).toEqual([{ by: 'runtime', reset: 7 }]);
  expect(warnings).toEqual([]);
});

it('the proxy leaves no socket when it is closed while it begins to listen', async () => {
  await proxy.close();
  const listening = proxy.listen();
  await proxy.close();
  await listening;
  await expect(stat(runtime.proxyEndpoint.slice('unix://'.length))).rejects.toThrow('ENOENT');
  await proxy.listen();
  expect(String(await client.call(VERSION, Buffer.from('x')).answer)).toBe('x');
});

it('the proxy passes many calls at once on one connection', async () => {
  const words = Array.from({ length: 500 }, (_, at) => `call ${at}`);
  const answers = await Promise.all(words.map((word) => client.call(VERSION, Buffer.from(word)).answer));
  expect(answers.map(String)).toEqual(words);
  expect(runtime.sessions.size).toBe(1);
});

it('the proxy reports the end of every call before it has closed', async () => {
  const begun = runtime.called();
  runtime.answer = () => undefined;
  const { answer } = client.call(VERSION, Buffer.alloc(0));
  await begun;
  await proxy.close();
  expect(ends).toEqual([{ by: 'proxy', reset: undefined }]);
  await expect(answer).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
});

it('the proxy closes even if a client does not read', async () => {
  const asked = gate<Parameters<BareRuntime['answer']>[0]>();
  runtime.answer = (call) => asked.resolve(call);
  const raw = new RawHttp2Client(runtime.proxyEndpoint.slice('unix://'.length));
  raw.greet();
  await raw.settings;
  void raw.call(VERSION, Buffer.alloc(0), { authority: 'localhost' }).catch(() => undefined);
  const { stream } = await asked.promise;
  raw.socket.pause();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  const passed = gate();
  onBytes = () => passed.resolve();
  // The data is more than the buffers of a socket hold, and less than the client's window.
  stream.write(Buffer.alloc(8_000_000));
  await passed.promise;
  await proxy.close();
  expect(ends).toEqual([{ by: 'proxy', reset: undefined }]);
  raw.socket.destroy();
});
