import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineCall, sharedDockerHost } from './engine';

const REGISTRY = 'docker-registry';
/** What the test registry wants to hear at its private address. */
export const CREDENTIALS = { username: 'puller', password: 'p:w' };

/** Debian's docker-registry on a loopback port, which the Engine takes without TLS. */
export class TestRegistry {
  private constructor(
    private readonly directory: string,
    private readonly process: ChildProcess,
    private readonly proxy: Server,
    /** `127.0.0.1:PORT`, the domain of image references. */
    readonly host: string,
    /** The same registry behind a proxy that asks for CREDENTIALS. */
    readonly privateHost: string,
  ) {}

  static async start(): Promise<TestRegistry> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-registry-'));
    const config = join(directory, 'config.yml');
    const storage = join(directory, 'data');
    await writeFile(
      config,
      `version: 0.1\nhttp: {addr: "127.0.0.1:0"}\nstorage: {filesystem: {rootdirectory: ${storage}}}\n`,
    );
    const child = spawn(REGISTRY, ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    try {
      const port = await listeningPort(child);
      const proxy = await startProxy(port);
      const privateHost = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      return new TestRegistry(directory, child, proxy, `127.0.0.1:${port}`, privateHost);
    } catch (error) {
      child.kill();
      await rm(directory, { recursive: true });
      throw error;
    }
  }

  /** Puts a local image there under `name` (`repository:tag`); it keeps that name on the Engine too. */
  async push(image: string, name: string, host = this.host): Promise<string> {
    const reference = `${host}/${name}`;
    const [repository = '', tag = ''] = name.split(':');
    const repo = `${host}/${repository}`;
    await engineCall(sharedDockerHost(), 'POST', `/images/${image}/tag?repo=${repo}&tag=${tag}`);
    const auth = Buffer.from(JSON.stringify(CREDENTIALS)).toString('base64');
    await engineCall(sharedDockerHost(), 'POST', `/images/${repo}/push?tag=${tag}`, {
      headers: { 'X-Registry-Auth': auth },
    });
    return reference;
  }

  async stop(): Promise<void> {
    this.proxy.closeAllConnections();
    await new Promise((resolve) => this.proxy.close(resolve));
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill();
    await ended;
    await rm(this.directory, { recursive: true });
  }
}

/** The registry logs where it listens. */
async function listeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.once('error', () => reject(new Error(`${REGISTRY} cannot be run (run: make setup)`)));
    child.once('exit', () => reject(new Error(`${REGISTRY} ended: ${log}`)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(log)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

async function startProxy(port: number): Promise<Server> {
  const expected = Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString('base64');
  const proxy = createServer((call, reply) => {
    if (call.headers.authorization !== `Basic ${expected}`) {
      reply.writeHead(401, { 'WWW-Authenticate': 'Basic realm="test"' }).end();
      return;
    }
    const { method, headers, url: path } = call;
    const onward = request({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(reply);
    });
    onward.on('error', () => reply.destroy());
    call.pipe(onward);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return proxy;
}
