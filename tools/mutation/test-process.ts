import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome, Run } from './worker';

/** The process is replaced at these limits, because jest leaks a little with every test file. A new process takes two seconds. */
const MAX_RSS_MIB = 900;
const MAX_RUNS = 400;

/**
 * As root, the process runs in a mount and a PID namespace of its own. A mutant that sends signals, unmounts
 * or leaves a process behind affects only these namespaces, and it cannot write to the repository. A shell is
 * process 1 there, because some tests would confuse their own pid with another's if their own were 1.
 */
const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
const READ_ONLY_TREE =
  'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && shift && "$@"; exit $?';

/** The kernel ends the worker with its parent, because a worker in a mutant's endless loop would not notice the parent's end. */
const ENDS_WITH_US = ['setpriv', '--pdeathsig', 'KILL'];

/** Runs test files in a worker process, one at a time. It starts the worker on demand, and again after it was killed. */
export class TestProcess {
  private child: ChildProcess | undefined;
  private runs = 0;
  private readonly scratch = mkdtempSync(join(tmpdir(), 'dockbridge-mutation-'));

  /** @param script the compiled worker. */
  constructor(
    private readonly root: string,
    private readonly script: string,
  ) {}

  /** Resolves with `undefined` if the process does not answer in time, and with a failure if it ends. */
  async run(run: Run, limitMs: number): Promise<Outcome | undefined> {
    this.child ??= await this.start();
    const { child } = this;
    const outcome = await new Promise<Outcome | undefined>((resolve) => {
      const settle = (result: Outcome | undefined): void => {
        clearTimeout(timer);
        child.off('message', settle).off('exit', onExit);
        resolve(result);
      };
      const onExit = (): void => settle({ failures: ['the process ended'], reached: {}, rssMiB: Infinity });
      const timer = setTimeout(() => settle(undefined), limitMs);
      child.on('message', settle).on('exit', onExit);
      child.send(run);
    });
    this.runs += 1;
    if (outcome === undefined || outcome.rssMiB > MAX_RSS_MIB || this.runs >= MAX_RUNS) await this.kill();
    return outcome;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.scratch, { recursive: true, force: true });
  }

  private async start(): Promise<ChildProcess> {
    this.runs = 0;
    const program = [process.execPath, '--enable-source-maps', this.script, this.root];
    const isRoot = process.getuid?.() === 0;
    const [command = '', ...args] = [
      ...(process.platform === 'linux' ? ENDS_WITH_US : []),
      ...(isRoot ? ['unshare', ...NAMESPACES, 'sh', '-c', READ_ONLY_TREE, 'sh', this.root] : []),
      ...program,
    ];
    const child = spawn(command, args, {
      cwd: this.root,
      env: { ...process.env, NODE_ENV: 'test', JEST_WORKER_ID: '1', TMPDIR: this.scratch },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('message', () => resolve());
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new Error(`the process that runs tests ended with ${String(code)}`)),
      );
    });
    child.removeAllListeners();
    return child;
  }

  private async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
