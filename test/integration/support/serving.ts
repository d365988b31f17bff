import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriClient } from '../../../src/server/client/cri-client';
import { Command, type Environment } from './command';
import { sharedDockerHost } from './engine';

/** A directory for each test, and the `dockbridge` commands that it starts there. Registers hooks. */
export class Serving {
  directory = '';
  private running: Command[] = [];

  constructor() {
    beforeEach(async () => {
      this.directory = await mkdtemp(join(tmpdir(), 'dockbridge-cli-'));
    });
    afterEach(async () => {
      for (const command of this.running) await command.kill();
      this.running = [];
      await rm(this.directory, { recursive: true, force: true });
    });
  }

  readonly start = (args: readonly string[], env: Environment = {}): Command => {
    const command = new Command(args, { DOCKBRIDGE_RUN_DIR: join(this.directory, 'run-dir'), ...env });
    this.running.push(command);
    return command;
  };

  readonly socket = (): string => join(this.directory, 'run', 'cri.sock');

  readonly basics = (): string[] => [
    ...['--container-runtime-endpoint', `unix://${this.socket()}`, '--docker-endpoint', sharedDockerHost()],
    ...['--state-dir', join(this.directory, 'state'), '--network-plugin', 'no-op'],
  ];

  /** Starts a daemon, and resolves when it has connected to the Engine. */
  readonly serve = async (more: readonly string[] = [], env: Environment = {}): Promise<Command> => {
    const command = this.start(['serve', ...this.basics(), ...more], env);
    await command.says('Connected to Docker Engine');
    return command;
  };

  readonly expectServes = async (endpoint = `unix://${this.socket()}`): Promise<void> => {
    const client = new CriClient(endpoint);
    try {
      expect((await client.call('Version', {})).runtime_name).toBe('docker');
    } finally {
      client.close();
    }
  };
}
