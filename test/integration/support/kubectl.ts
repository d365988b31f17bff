import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';

const run = promisify(execFile);
const script = join(__dirname, '../../../scripts/kubectl.sh');

export type Wire = 'SPDY' | 'WebSocket';

export interface KubectlResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs the real kubectl (scripts/kubectl.sh) with a server of the test's own. */
export class Kubectl {
  private constructor(
    readonly path: string,
    private readonly server: string,
    private readonly directory: string,
  ) {}

  static async at(server: string, directory: string): Promise<Kubectl> {
    const { stdout } = await run('bash', [script], { timeout: 120_000 });
    return new Kubectl(stdout.trim(), server, directory);
  }

  /** Returns `args` after the options that every command needs. */
  arguments(...args: string[]): string[] {
    return ['--server', this.server, '--cache-dir', join(this.directory, 'kube-cache'), ...args];
  }

  environment(wire: Wire): NodeJS.ProcessEnv {
    const webSockets = String(wire === 'WebSocket');
    return {
      PATH: process.env.PATH,
      HOME: this.directory,
      KUBECONFIG: '/dev/null',
      KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets,
      KUBECTL_PORT_FORWARD_WEBSOCKETS: webSockets,
    };
  }

  start(wire: Wire, ...args: string[]): ChildProcess {
    return spawn(this.path, this.arguments(...args), { env: this.environment(wire) });
  }

  /** Runs kubectl to its end. `input` is piped to stdin. Without input, stdin is closed at once. */
  async run(wire: Wire, input: Readable | string | undefined, ...args: string[]): Promise<KubectlResult> {
    const child = this.start(wire, ...args);
    const { stdin, stdout, stderr } = child;
    if (stdin === null || stdout === null || stderr === null) throw new Error('no pipes');
    stdin.on('error', () => undefined);
    if (typeof input === 'object') input.pipe(stdin);
    else stdin.end(input);
    const [out, errors, [code]] = await Promise.all([
      buffer(stdout),
      buffer(stderr),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    return { code, stdout: out, stderr: errors.toString() };
  }
}
