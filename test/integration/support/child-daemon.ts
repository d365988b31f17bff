import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CriClient } from '../../../src/server/client/cri-client';
import { sharedDockerHost } from './engine';

const MAIN = join(__dirname, '../../../dist/main.js');

/** A daemon as operators run it, `node dist/main.js serve`, to be killed at will. Needs `make build`. */
export class ChildDaemon {
  client!: CriClient;
  private child!: ChildProcess;

  private constructor(
    readonly directory: string,
    private readonly arguments_: readonly string[],
  ) {}

  /** @param more further command line arguments. */
  static async start(more: readonly string[] = [], dockerHost = sharedDockerHost()): Promise<ChildDaemon> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-child-'));
    const daemon = new ChildDaemon(directory, [
      ...['serve', '--container-runtime-endpoint', `unix://${join(directory, 'cri.sock')}`],
      ...['--docker-endpoint', dockerHost, '--state-dir', join(directory, 'state')],
      ...['--run-dir', join(directory, 'run'), '--network-plugin', 'no-op'],
      ...['--pod-infra-container-image', 'dockbridge.local/pause:1', ...more],
    ]);
    try {
      await daemon.launch();
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
    return daemon;
  }

  get endpoint(): string {
    return `unix://${join(this.directory, 'cri.sock')}`;
  }

  get logDirectory(): string {
    return join(this.directory, 'logs');
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Starts it, again after a kill; resolves once it has read the Engine. */
  async launch(): Promise<void> {
    this.child = spawn(process.execPath, [MAIN, ...this.arguments_], { stdio: ['ignore', 'ignore', 'pipe'] });
    const { stderr } = this.child;
    if (stderr === null) throw new Error('no stderr');
    const lines = createInterface({ input: stderr });
    const seen: string[] = [];
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        seen.push(line);
        if (line.includes('Connected to Docker Engine')) resolve();
      });
      lines.on('close', () => reject(new Error(`the daemon ended:\n${seen.join('\n')}`)));
    });
    this.client = new CriClient(this.endpoint);
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill9(): Promise<void> {
    this.client.close();
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }

  /** Removes all pods, ends by SIGTERM and deletes the directory. @returns the exit code. */
  async stop(): Promise<number | null> {
    const { items } = await this.client.call('ListPodSandbox', {});
    await Promise.all(items.map(({ id }) => this.client.call('RemovePodSandbox', { pod_sandbox_id: id })));
    this.client.close();
    const gone = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await gone;
    await rm(this.directory, { recursive: true, force: true });
    return this.child.exitCode;
  }
}
