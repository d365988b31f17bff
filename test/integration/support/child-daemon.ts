import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriClient } from '../../../src/server/client/cri-client';
import { Command, type Line } from './command';
import { sharedDockerHost } from './engine';

const CONNECTED = 'Connected to Docker Engine';

/** A daemon as operators run it, `node dist/main.js serve`, which a test may kill. Needs `make build`. */
export class ChildDaemon {
  client!: CriClient;
  /** The command through which the daemon is started from now on; see Command. */
  through: readonly string[] = [];
  private command!: Command;

  private constructor(
    readonly directory: string,
    private readonly arguments_: readonly string[],
    private dockerHost: string,
  ) {}

  /**
   * @param more further command line arguments. @param saying the log message that shows that the daemon is ready.
   */
  static async start(
    more: readonly string[] = [],
    dockerHost = sharedDockerHost(),
    saying = CONNECTED,
  ): Promise<ChildDaemon> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-child-'));
    const daemon = new ChildDaemon(
      directory,
      [
        ...['serve', '--container-runtime-endpoint', `unix://${join(directory, 'cri.sock')}`],
        ...['--state-dir', join(directory, 'state')],
        ...['--run-dir', join(directory, 'run'), '--network-plugin', 'no-op'],
        ...['--cri-dockerd-root-directory', join(directory, 'cri-dockerd')],
        ...['--dockershim-root-directory', join(directory, 'dockershim')],
        ...['--pod-infra-container-image', 'dockbridge.local/pause:1', ...more],
      ],
      dockerHost,
    );
    try {
      await daemon.launch(saying);
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

  get log(): readonly Line[] {
    return this.command.log;
  }

  get pid(): number {
    return this.command.pid;
  }

  /**
   * Starts the daemon, also after a kill. Resolves once the daemon has read the Engine's state, or as soon as it
   * logs `saying`. @param dockerHost another address of the same Engine, from now on.
   */
  async launch(saying = CONNECTED, dockerHost = this.dockerHost): Promise<void> {
    this.dockerHost = dockerHost;
    this.command = new Command([...this.arguments_, '--docker-endpoint', dockerHost], {}, this.through);
    await this.command.says(saying);
    this.client = new CriClient(this.endpoint);
  }

  /** Returns the first line in the present process's log that contains `message`, as soon as it is there. */
  async says(message = CONNECTED): Promise<Line> {
    return this.command.says(message);
  }

  /** Sends SIGKILL, and resolves when the process is gone. */
  async kill9(): Promise<void> {
    this.client.close();
    await this.command.kill();
  }

  /** Returns the last log lines of the present process, for the message of a failure. */
  lastWords(lines = 15): string {
    return this.command.stderr.split('\n').slice(-lines).join('\n');
  }

  /** Sends SIGTERM, and resolves with the exit code when the process is gone. */
  async terminate(): Promise<number | null> {
    this.client.close();
    this.command.signal('SIGTERM');
    return this.command.exit();
  }

  /** Removes all pods, ends the daemon by SIGTERM and deletes the directory. @returns the exit code. */
  async stop(): Promise<number | null> {
    let code: number | null;
    try {
      const { items } = await this.client.call('ListPodSandbox', {});
      await Promise.all(items.map(({ id }) => this.client.call('RemovePodSandbox', { pod_sandbox_id: id })));
    } finally {
      // The next test's daemon would wait for the end of this one, and jest too.
      code = await this.terminate();
      await this.discard();
    }
    return code;
  }

  /** Deletes the directory of a killed daemon that will not start again. */
  async discard(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}
