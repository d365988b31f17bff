import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { engineCall, sharedDockerHost } from './engine';

const run = promisify(execFile);
const REGISTRY = 'docker-registry';
/** The credentials that the test registry requires at its private address. */
export const CREDENTIALS = { username: 'puller', password: 'p:w' };
/** The same credentials for docker-registry, hashed by bcrypt, the only hash that it accepts. */
const HTPASSWD = 'puller:$2y$05$dockbridgetestregistruvL.2v9YyJ772A3uHWGn4c7PTY3aUjXa\n';

/**
 * Debian's docker-registry on two loopback ports, where the Engine accepts plain HTTP and any certificate.
 */
export class TestRegistry {
  private constructor(
    private readonly directory: string,
    private readonly processes: readonly ChildProcess[],
    /** `127.0.0.1:PORT`, the domain of image references. It is open to all, with plain HTTP. */
    readonly host: string,
    /** The same images with TLS, and only for CREDENTIALS. */
    readonly privateHost: string,
  ) {}

  static async start(): Promise<TestRegistry> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-registry-'));
    const processes: ChildProcess[] = [];
    const [key, certificate, users] = ['key.pem', 'cert.pem', 'htpasswd'].map((name) =>
      join(directory, name),
    );
    const serve = async (name: string, http: string, more = ''): Promise<string> => {
      const config = join(directory, name);
      const storage = `storage: {filesystem: {rootdirectory: ${join(directory, 'data')}}}`;
      await writeFile(config, `version: 0.1\nhttp: {addr: "127.0.0.1:0"${http}}\n${storage}\n${more}`);
      const child = spawn(REGISTRY, ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
      processes.push(child);
      return `127.0.0.1:${await listeningPort(child)}`;
    };
    try {
      await writeFile(users!, HTPASSWD);
      await run('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-keyout', key!, '-out', certificate!, '-days', '2', '-subj', '/CN=127.0.0.1'],
        ...['-addext', 'subjectAltName=IP:127.0.0.1'],
      ]);
      const open = await serve('open.yml', '');
      const tls = `, tls: {certificate: ${certificate!}, key: ${key!}}`;
      const closed = await serve('private.yml', tls, `auth: {htpasswd: {realm: test, path: ${users!}}}\n`);
      return new TestRegistry(directory, processes, open, closed);
    } catch (error) {
      for (const child of processes) child.kill();
      await rm(directory, { recursive: true });
      throw error;
    }
  }

  /** Pushes a local image under `name` (`repository:tag`), which also stays its name on the Engine. */
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

  /** Returns a manifest as the registry has it, for tests that derive another one. */
  async manifest(repository: string, tag: string): Promise<{ type: string; digest: string; body: string }> {
    const types = ['docker.distribution.manifest.v2', 'oci.image.manifest.v1', 'oci.image.index.v1'];
    const headers = { accept: types.map((type) => `application/vnd.${type}+json`).join(', ') };
    const reply = await fetch(`http://${this.host}/v2/${repository}/manifests/${tag}`, { headers });
    return {
      type: reply.headers.get('content-type') ?? '',
      digest: reply.headers.get('docker-content-digest') ?? '',
      body: await reply.text(),
    };
  }

  async putManifest(repository: string, tag: string, type: string, body: string): Promise<void> {
    const url = `http://${this.host}/v2/${repository}/manifests/${tag}`;
    const reply = await fetch(url, { method: 'PUT', headers: { 'content-type': type }, body });
    if (!reply.ok) throw new Error(`PUT ${url}: ${reply.status} ${await reply.text()}`);
  }

  async stop(): Promise<void> {
    const ended = this.processes.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of this.processes) child.kill();
    await Promise.all(ended);
    await rm(this.directory, { recursive: true });
  }
}

/** Returns the port on which the registry listens, which the registry logs. */
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
