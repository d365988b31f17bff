import type { Readable, Writable } from 'node:stream';
import { WebSocket } from 'ws';
import { silentLogger } from '../../../src/lib/logger';
import type { ClientStreams, StreamingBackend } from '../../../src/streaming/backend';
import { StreamingServer } from '../../../src/streaming/server';
import { gate, until, type Gate } from '../support/async';

let server: StreamingServer;
let client: Gate<ClientStreams>;
let exitCode: Gate<number>;

beforeEach(async () => {
  client = gate();
  exitCode = gate();
  const backend: StreamingBackend = {
    exec: (_, streams) => {
      client.resolve(streams);
      return exitCode.promise;
    },
    attach: () => Promise.reject(new Error('the container is not running')),
    connect: (_, port) => Promise.reject(new Error(`nobody on ${port}`)),
  };
  server = new StreamingServer({ bind: { host: '127.0.0.1', port: 0 }, backend, logger: silentLogger });
  await server.listen();
});
afterEach(() => server.close());

const ALL = { stdin: true, stdout: true, stderr: true, tty: false };
const execUrl = (): string => server.execUrl({ containerId: 'c', command: ['x'], ...ALL });

/** Returns all messages until the close, as text with the channel first. */
async function open(
  url: string,
  ...protocols: string[]
): Promise<{ socket: WebSocket; messages: string[]; closed: Promise<number> }> {
  const socket = new WebSocket(url.replace('http:', 'ws:'), protocols);
  const messages: string[] = [];
  socket.on('message', (data: Buffer, binary) =>
    messages.push(binary ? `${data[0] ?? ''}:${data.subarray(1).toString()}` : data.toString()),
  );
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return { socket, messages, closed };
}

const message = (channel: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);

async function textOf(stream: Readable | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream!) text += String(chunk);
  return text;
}

async function firstOf(stream: Readable | undefined): Promise<string> {
  return new Promise((resolve) => stream!.once('data', (data: Buffer) => resolve(data.toString())));
}

const put = (stream: Writable | undefined, text: string): boolean => stream!.write(text);

describe('exec over WebSocket', () => {
  it('with version 5 has input with an end, outputs, a status and a close', async () => {
    const { socket, messages, closed } = await open(execUrl(), 'v5.channel.k8s.io', 'v4.channel.k8s.io');
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    const streams = await client.promise;
    socket.send(message(0, 'in'));
    socket.send(message(0, 'put'));
    socket.send(Buffer.from([255, 0]));
    expect(await textOf(streams.stdin)).toBe('input');
    put(streams.stdout, 'out');
    put(streams.stderr, 'err');
    exitCode.resolve(7);
    expect(await closed).toBe(1000);
    expect(messages.slice(0, 2).sort()).toEqual(['1:out', '2:err']);
    expect(messages[2]).toMatch(/^3:.*"reason":"ExitCode","message":"7"/);
  });

  it('with version 4 has an empty message first, and 255 does not end the input', async () => {
    const { socket, messages, closed } = await open(execUrl(), 'v4.channel.k8s.io');
    const streams = await client.promise;
    socket.send(Buffer.from([255, 0]));
    socket.send(message(0, 'still open'));
    const first = await firstOf(streams.stdin);
    expect(first).toBe('still open');
    exitCode.resolve(0);
    expect(await closed).toBe(1000);
    expect(messages).toEqual(['1:', '3:{"metadata":{},"status":"Success"}']);
  });

  it.each(['base64.channel.k8s.io', 'v4.base64.channel.k8s.io'])(
    'with %s has base64 in both directions',
    async (protocol) => {
      const { socket, messages, closed } = await open(execUrl(), protocol);
      const streams = await client.promise;
      socket.send(`0${Buffer.from('in').toString('base64')}`);
      const first = await firstOf(streams.stdin);
      expect(first).toBe('in');
      put(streams.stdout, 'out');
      exitCode.resolve(0);
      await closed;
      expect(messages.slice(0, 2)).toEqual(['1', `1${Buffer.from('out').toString('base64')}`]);
      expect(messages).toHaveLength(protocol.startsWith('v4') ? 3 : 2);
    },
  );

  it('without any protocol uses the first version', async () => {
    const { messages, closed } = await open(execUrl());
    await client.promise;
    exitCode.resolve(3);
    await closed;
    expect(messages).toEqual(['1:', '3:the command ended with exit code 3']);
  });

  it('tells the backend that the client has left', async () => {
    const { socket } = await open(execUrl(), 'v5.channel.k8s.io');
    const { gone } = await client.promise;
    socket.terminate();
    await new Promise((resolve) => gone.addEventListener('abort', resolve));
    exitCode.resolve(0);
  });

  it('holds a limited amount of data that the backend does not read', async () => {
    const { socket } = await open(execUrl(), 'v5.channel.k8s.io');
    const streams = await client.promise;
    const bytes = 64 * 1024 * 1024;
    const chunk = Buffer.alloc(65_536);
    for (let sent = 0; sent < bytes; sent += chunk.length - 1) socket.send(chunk);
    const before = process.memoryUsage().arrayBuffers;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    let got = 0;
    streams.stdin!.on('data', (data: Buffer) => (got += data.length));
    socket.send(Buffer.from([255, 0]));
    await new Promise((resolve) => streams.stdin!.once('end', resolve));
    expect(got).toBeGreaterThanOrEqual(bytes);
    exitCode.resolve(0);
  });

  it('counts the memory of many small messages, not only their bytes', async () => {
    const { socket } = await open(execUrl(), 'v5.channel.k8s.io');
    const streams = await client.promise;
    const pongs: string[] = [];
    socket.on('pong', (data: Buffer) => pongs.push(data.toString()));
    const messages = 20_000;
    for (let sent = 0; sent < messages; sent++) socket.send(message(0, 'x'));
    socket.ping('all is read');
    socket.send(Buffer.from([255, 0]));
    // While the server does not read, it probes for its client with an unsolicited pong.
    await until(() => pongs.length > 0, 'a pong');
    expect(pongs[0]).toBe('');
    expect(await textOf(streams.stdin)).toBe('x'.repeat(messages));
    await until(() => pongs.includes('all is read'), 'the answer');
    exitCode.resolve(0);
  });

  it('refuses unknown protocols', async () => {
    await expect(open(execUrl(), 'v9.channel.k8s.io')).rejects.toThrow('400');
  });

  it('turns a failure of the backend into the status', async () => {
    const { messages, closed } = await open(
      server.attachUrl({ containerId: 'c', ...ALL }),
      'v5.channel.k8s.io',
    );
    await closed;
    expect(messages[0]).toMatch(/"reason":"InternalError","message":"the container is not running"/);
  });
});

describe('port-forward over WebSocket channels', () => {
  it('begins with the ports, and reports each on which nobody listens', async () => {
    const url = server.portForwardUrl({ sandboxId: 's', ports: [80, 443] });
    const { messages, closed } = await open(url, 'v4.channel.k8s.io');
    expect(await closed).toBe(1000);
    const port = (number: number): string => Buffer.from([number & 255, number >> 8]).toString();
    expect([...messages].sort()).toEqual(
      [
        `0:${port(80)}`,
        `1:${port(80)}`,
        `2:${port(443)}`,
        `3:${port(443)}`,
        '1:port 80: nobody on 80',
        '3:port 443: nobody on 443',
      ].sort(),
    );
  });
});
