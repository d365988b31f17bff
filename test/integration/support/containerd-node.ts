import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const START_MS = 120_000;

export interface ContainerdOptions {
  /** The image of pod sandboxes. */
  readonly pause?: string;
  /** Whether the CRI plugin is loaded; default true. */
  readonly cri?: boolean;
  /** The Engine whose package contains this containerd; default DOCKBRIDGE_TEST_ENGINE. */
  readonly engine?: string;
  /** Whether pods get a network of their own; default false. */
  readonly network?: boolean;
}

/** A containerd of a test's own: Debian's package, or the one that comes with another Engine. */
export class ContainerdNode {
  private constructor(
    readonly directory: string,
    private readonly child: ChildProcess,
    /** The PATH with the programs of this containerd. */
    readonly path: string,
  ) {}

  static async start({
    pause = 'unset.test/pause:1',
    cri = true,
    engine = process.env.DOCKBRIDGE_TEST_ENGINE ?? '',
    network = false,
  }: ContainerdOptions = {}): Promise<ContainerdNode> {
    const directory = await mkdtemp('/var/tmp/dockbridge-containerd-');
    const script = join(__dirname, '../../../scripts/engine-version.sh');
    const { stdout } = engine === '' ? { stdout: '' } : await run('bash', [script, engine]);
    const path = `${stdout.trim()}${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
    await writeFile(
      join(directory, 'config.toml'),
      [
        'version = 2',
        `root = "${directory}/root"`,
        `state = "${directory}/state"`,
        ...(cri ? [] : ['disabled_plugins = ["io.containerd.grpc.v1.cri"]']),
        '[grpc]',
        `  address = "${directory}/containerd.sock"`,
        '[plugins."io.containerd.grpc.v1.cri"]',
        `  sandbox_image = "${pause}"`,
        '  restrict_oom_score_adj = true',
        '  netns_mounts_under_state_dir = true',
        '  [plugins."io.containerd.grpc.v1.cri".cni]',
        `    conf_dir = "${directory}/net.d"`,
        '    bin_dir = "/usr/lib/cni"',
        '  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]',
        '    runtime_type = "io.containerd.runc.v2"',
        '',
      ].join('\n'),
    );
    if (network) await writeNetwork(directory);
    const child = spawn('containerd', ['--config', join(directory, 'config.toml')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: path },
    });
    const log = createWriteStream(join(directory, 'containerd.log'));
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    const node = new ContainerdNode(directory, child, path);
    await node.untilAnswers();
    return node;
  }

  get socket(): string {
    return join(this.directory, 'containerd.sock');
  }

  get endpoint(): string {
    return `unix://${this.socket}`;
  }

  /** Runs `ctr` in the namespace of CRI. */
  async ctr(...args: readonly string[]): Promise<string> {
    const all = ['--address', this.socket, '--namespace', 'k8s.io', ...args];
    return (await run('ctr', all, { env: { ...process.env, PATH: this.path } })).stdout;
  }

  /** Copies images from an Engine. */
  async load(dockerHost: string, ...names: readonly string[]): Promise<void> {
    const query = names.map((name) => `names=${encodeURIComponent(name)}`).join('&');
    const file = join(this.directory, 'images.tar');
    const call = request({
      socketPath: dockerHost.replace('unix://', ''),
      path: `/images/get?${query}`,
    }).end();
    const [reply] = (await once(call, 'response')) as [IncomingMessage];
    await pipeline(reply, createWriteStream(file));
    await this.ctr('images', 'import', file);
  }

  /** Returns how many bytes of incomplete uploads have arrived. */
  async uploading(): Promise<number> {
    const ingests = join(this.directory, 'root/io.containerd.content.v1.content/ingest');
    const sizes = (await readdir(ingests).catch(() => [])).map(async (name) =>
      stat(join(ingests, name, 'data')).then(
        ({ size }) => size,
        () => 0,
      ),
    );
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  /** Ends containerd and removes everything that it left. Pods must be removed first. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null) {
      const gone = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      await gone;
    }
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => point.startsWith(`${this.directory}/`));
    for (const point of mounts.reverse()) await run('umount', ['-l', point]);
    await rm(this.directory, { recursive: true, force: true });
    for (const hierarchy of await readdir('/sys/fs/cgroup'))
      await rmdir(join('/sys/fs/cgroup', hierarchy, 'k8s.io')).catch(() => undefined);
  }

  /** Polls until containerd answers, because nothing announces this. */
  private async untilAnswers(): Promise<void> {
    const end = Date.now() + START_MS;
    for (;;) {
      const answered = await this.ctr('version').then(
        () => true,
        () => false,
      );
      if (answered) return;
      if (this.child.exitCode !== null || Date.now() > end) {
        const log = await readFile(join(this.directory, 'containerd.log'), 'utf8');
        await this.stop();
        throw new Error(`containerd does not start:\n${log.slice(-2000)}`);
      }
      await delay(100);
    }
  }
}

/** A network without a bridge or rules, so that nothing of it is left when the pods are gone. */
async function writeNetwork(directory: string): Promise<void> {
  const ranges = [[{ subnet: '10.98.0.0/16' }]];
  const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), ranges };
  const network = { cniVersion: '1.0.0', name: 'containerd-test', plugins: [{ type: 'ptp', ipam }] };
  await mkdir(join(directory, 'net.d'));
  await writeFile(join(directory, 'net.d/10-test.conflist'), JSON.stringify(network));
}
