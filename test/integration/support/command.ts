import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = join(__dirname, '../../../dist/main.js');
/** The words for `dockbridge`. The variable lets tests and benches run the packaged program with its own Node.js. */
const PROGRAM = process.env.DOCKBRIDGE_TEST_PROGRAM?.split(' ') ?? [process.execPath, MAIN];

export type Environment = Record<string, string>;

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly option?: string;
}

/**
 * Runs `node dist/main.js …` as a child whose environment has only what the test gives. Needs `make build`.
 */
export class Command {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private readonly gone: Promise<unknown>;
  private readonly closing: Promise<unknown>;
  private readonly waiting: (() => void)[] = [];
  private closed = false;

  /**
   * @param through a command that executes its arguments in its own place, such as prlimit.
   * @param dockbridge the words that `dockbridge` stands for.
   * @param passed the descriptor of a socket, which the child gets as descriptor 3, as from systemd.
   */
  constructor(
    args: readonly string[],
    env: Environment = {},
    through: readonly string[] = [],
    dockbridge: readonly string[] = PROGRAM,
    passed?: number,
  ) {
    const inherited = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(DOCKER_|DOCKBRIDGE_|NOTIFY_SOCKET)/.test(name)),
    );
    const passing =
      passed === undefined ? [] : ['/bin/sh', '-c', 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', 'sh'];
    const [program = process.execPath, ...words] = [...passing, ...through, ...dockbridge, ...args];
    this.child = spawn(program, words, {
      // This machine's configuration files must not affect the test.
      env: { ...inherited, DOCKBRIDGE_CONFIG: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...(passed === undefined ? [] : [passed])],
    });
    this.gone = once(this.child, 'exit');
    this.closing = once(this.child, 'close');
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.wake();
    });
    const lines = createInterface({ input: this.child.stderr! });
    lines.on('line', (line) => {
      this.stderr += `${line}\n`;
      this.wake();
    });
    void this.closing.then(() => {
      this.closed = true;
      this.wake();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves with the exit code, or null for a signal, when all output has arrived. */
  async exit(): Promise<number | null> {
    await this.closing;
    return this.child.exitCode;
  }

  get log(): Line[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
  }

  /**
   * Returns the first log line that contains `message`, as soon as it is there. @param after how many such
   * lines to skip.
   */
  async says(message: string, after = 0): Promise<Line> {
    for (;;) {
      const found = this.log.filter((line) => line.message.includes(message))[after];
      if (found !== undefined) return found;
      if (this.closed) throw new Error(`the command ended without saying "${message}":\n${this.stderr}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** Resolves as soon as standard output contains `text`. */
  async prints(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.closed) throw new Error(`the command ended without printing "${text}":\n${this.stdout}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Sends SIGKILL if the process still runs, and resolves when the process is gone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.gone;
  }

  private wake(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }
}
