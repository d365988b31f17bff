import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, Socket, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type * as grpc from '@grpc/grpc-js';
import { silentLogger } from '../../../../src/lib/logger';
import { parseEndpoint, SocketListener } from '../../../../src/server/listener/socket-listener';
import { RawHttp2Client } from '../../../fakes/raw-http2-client';
import { withUmaskOfADaemon } from '../../support/umask';
import { ECHO, grpcClient } from './fixture';

let directory: string;
let path: string;
const listeners: SocketListener[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-'));
  path = join(directory, 'cri.sock');
});

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
  await rm(directory, { recursive: true, force: true });
});

/** Passes each connection to `onConnection` instead of serving it. */
function fakeGrpcServer(
  onConnection: (connection: Duplex) => void = (connection) => connection.destroy(),
): grpc.Server {
  return { createConnectionInjector: () => ({ injectConnection: onConnection }) } as unknown as grpc.Server;
}

function listenerOn(endpoint: string): SocketListener {
  const listener = new SocketListener({ endpoint, logger: silentLogger });
  listeners.push(listener);
  return listener;
}

async function listenOn(where: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy()).listen(where);
  await once(server, 'listening');
  return server;
}

/** Returns the mode of a new file, which shows the process's umask. */
async function newFileMode(name: string): Promise<number> {
  await writeFile(join(directory, name), '', { mode: 0o777 });
  return (await lstat(join(directory, name))).mode;
}

/** Leaves a socket behind, as a killed daemon does. */
async function leaveStaleSocket(): Promise<void> {
  const server = await listenOn(join(directory, 'dying'));
  await rename(join(directory, 'dying'), path);
  server.close();
  await once(server, 'close');
}

describe('the socket file', () => {
  withUmaskOfADaemon();
  it.each(['', 'unix://'])(
    'is created with its directory, closed to others, and removed (%s)',
    async (scheme) => {
      path = join(directory, 'a', 'b', 'cri.sock');
      const listener = listenerOn(`${scheme}${path}`);
      const before = await newFileMode('before');
      expect(await listener.listen(fakeGrpcServer())).toEqual({ address: `unix://${path}` });
      expect(await newFileMode('after')).toBe(before);
      expect((await lstat(path)).mode & 0o7777).toBe(0o660);
      expect((await lstat(dirname(path))).mode & 0o7777).toBe(0o750);
      expect(await readdir(dirname(path))).toEqual(['cri.sock']);
      await listener.close();
      await listener.close();
      expect(await readdir(dirname(path))).toEqual([]);
    },
  );

  it('replaces a stale socket', async () => {
    await leaveStaleSocket();
    expect((await lstat(path)).isSocket()).toBe(true);
    await listenerOn(path).listen(fakeGrpcServer());
    const probe = new Socket().connect(path);
    await once(probe, 'connect');
    probe.destroy();
  });

  it('is left alone while a process answers on it', async () => {
    const other = await listenOn(path);
    await expect(listenerOn(path).listen(fakeGrpcServer())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('already answers') as string,
    });
    expect(existsSync(path)).toBe(true);
    other.close();
  });

  it('can be created in a second attempt after a failure', async () => {
    const other = await listenOn(path);
    const listener = listenerOn(path);
    await expect(listener.listen(fakeGrpcServer())).rejects.toThrow('already answers');
    other.close();
    await listener.listen(fakeGrpcServer());
  });

  it('never replaces a regular file, a directory or a link', async () => {
    await writeFile(path, 'precious');
    await symlink(path, join(directory, 'link'));
    await mkdir(join(directory, 'folder'));
    for (const taken of [path, join(directory, 'link'), join(directory, 'folder')]) {
      await expect(listenerOn(taken).listen(fakeGrpcServer())).rejects.toThrow('is not a socket');
    }
    expect(await readFile(path, 'utf8')).toBe('precious');
  });

  it('stays if it belongs to another daemon by the time of the close', async () => {
    const listener = listenerOn(path);
    await listener.listen(fakeGrpcServer());
    await rm(path);
    const successor = await listenOn(path);
    await listener.close();
    expect(existsSync(path)).toBe(true);
    successor.close();
  });

  it('that cannot be created is reported with the error code of the system', async () => {
    await writeFile(path, '');
    await expect(listenerOn(join(path, 'x')).listen(fakeGrpcServer())).rejects.toMatchObject({
      code: 'EEXIST',
    });
  });
});

describe('an endpoint', () => {
  it.each([
    'tcp://127.0.0.1:80',
    'npipe:////./pipe/cri',
    'relative.sock',
    'unix://',
    'unix:///run/',
    '',
    'fd://7',
  ])('%p is refused, and the error names the allowed forms', (endpoint) => {
    expect(() => parseEndpoint(endpoint, {}, 1)).toThrow(/unix:\/\/\/absolute\/path, .* or fd:\/\//);
  });

  it('as a TCP address is refused with a reason', () =>
    expect(() => parseEndpoint('tcp://0.0.0.0:8080', {}, 1)).toThrow(
      'anyone who reached that port would be root',
    ));

  it("may not exceed the kernel's limit", () => {
    expect(parseEndpoint(`/${'x'.repeat(106)}`, {}, 1)).toMatchObject({ kind: 'path' });
    expect(() => parseEndpoint(`/${'x'.repeat(107)}`, {}, 1)).toThrow('107 bytes');
  });

  it.each([
    {},
    { LISTEN_FDS: '1' },
    { LISTEN_FDS: '1', LISTEN_PID: '2' },
    { LISTEN_FDS: '0', LISTEN_PID: '1' },
  ])('fd:// without a passed socket is refused: %p', (env) => {
    expect(() => parseEndpoint('fd://', env, 1)).toThrow(/systemd socket activation/);
  });

  it('fd:// means the first passed descriptor', () => {
    expect(parseEndpoint('fd://', { LISTEN_FDS: '2', LISTEN_PID: '1' }, 1)).toEqual({ kind: 'fd', fd: 3 });
  });
});

describe('socket activation', () => {
  const child = (fd: number | 'ignore', exported: string, endpoint = 'fd://') =>
    spawn(
      '/bin/sh',
      ['-c', `${exported} exec "$@"`, 'sh', process.execPath, join(__dirname, 'fd-child.js'), endpoint],
      { stdio: ['pipe', 'pipe', 'inherit', fd] },
    );
  const descriptorOf = (server: Server): number =>
    (server as unknown as { _handle: { fd: number } })._handle.fd;
  /** Closes the socket in this process and leaves its file in place, which libuv would remove. */
  async function letGo(passed: Server): Promise<void> {
    await rename(path, `${path}.kept`);
    passed.close();
    await rename(`${path}.kept`, path);
  }

  it('serves on the passed socket and leaves its file in place', async () => {
    const passed = await listenOn(path);
    const daemon = child(descriptorOf(passed), 'LISTEN_FDS=1 LISTEN_PID=$$');
    const [first] = (await once(daemon.stdout!, 'data')) as [Buffer];
    expect(first.toString()).toBe('fd://3\n');
    // Our own server must not accept connections any more.
    await letGo(passed);
    const client = grpcClient(path);
    expect((await client.echo(Buffer.from('hi'))).toString()).toBe('hi');
    client.close();
    daemon.stdin!.end();
    expect(await once(daemon, 'exit')).toEqual([0, null]);
    expect(existsSync(path)).toBe(true);
  });

  it('serves on a passed socket that listens at its own path, and leaves that socket file in place too', async () => {
    const passed = await listenOn(path);
    const daemon = child(descriptorOf(passed), 'LISTEN_FDS=1 LISTEN_PID=$$', `unix://${path}`);
    expect(String(((await once(daemon.stdout!, 'data')) as [Buffer])[0])).toBe('fd://3\n');
    await letGo(passed);
    const client = grpcClient(path);
    expect((await client.echo(Buffer.from('hi'))).toString()).toBe('hi');
    client.close();
    daemon.stdin!.end();
    expect(await once(daemon, 'exit')).toEqual([0, null]);
    expect(existsSync(path)).toBe(true);
  });

  it('warns of a passed socket that listens elsewhere, and serves at its own path', async () => {
    const passed = await listenOn(join(directory, 'other.sock'));
    const daemon = child(descriptorOf(passed), 'LISTEN_FDS=1 LISTEN_PID=$$', `unix://${path}`);
    let said = '';
    for await (const text of daemon.stdout!) if ((said += String(text)).includes('unix://')) break;
    expect(said.split('\n')[0]).toBe(
      JSON.stringify({ socket: join(directory, 'other.sock'), endpoint: path }),
    );
    const client = grpcClient(path);
    expect((await client.echo(Buffer.from('hi'))).toString()).toBe('hi');
    client.close();
    daemon.stdin!.end();
    await once(daemon, 'exit');
    expect(existsSync(path)).toBe(false);
    passed.close();
  });

  it('refuses a descriptor that is not a socket', async () => {
    const daemon = child('ignore', 'LISTEN_FDS=1 LISTEN_PID=$$');
    const [first] = (await once(daemon.stdout!, 'data')) as [Buffer];
    expect(first.toString()).toContain('descriptor 3 is not a socket');
    daemon.stdin!.end();
    await once(daemon, 'exit');
  });
});

describe('the connection that grpc-js gets', () => {
  it.each([
    ['is the plain socket of a client with a valid authority', 'localhost', true],
    ['is a repaired stream of an old client', '/run/x.sock', false],
  ])('%s', async (_name, authority, bare) => {
    for (const waits of [true, false]) {
      const listener = listenerOn(path);
      let onConnection: (connection: Duplex) => void = () => undefined;
      const injected = new Promise<Duplex>((resolve) => (onConnection = resolve));
      await listener.listen(fakeGrpcServer((connection) => onConnection(connection)));
      const client = new RawHttp2Client(path);
      client.greet();
      if (waits) await client.settings;
      client.open(ECHO, { authority });
      const connection = await injected;
      expect(connection instanceof Socket).toBe(bare);
      connection.destroy();
      client.socket.destroy();
      await listener.close();
    }
  });
});
