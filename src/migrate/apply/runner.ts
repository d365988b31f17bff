import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { messageOf } from '../../lib/errors';
import { processName } from '../../node/process/process-info';
import { LineReader } from './line-reader';

/** How a command ended. */
export interface Outcome {
  /** undefined when a signal ended the command, or when it did not start. */
  readonly exitCode: number | undefined;
  /** Why the command was ended, or did not start; '' otherwise. */
  readonly problem: string;
  /** The end of what it printed, both to stdout and to stderr. */
  readonly output: string;
}

export interface RunOptions {
  readonly limitMs: number;
  /** Ends the command when it fires. */
  readonly signal: AbortSignal;
  /** Whether the command is for kubectl. */
  readonly place: 'node' | 'cluster';
  /** Called with the name of the command's process, before the command begins. */
  readonly onStart?: ((process: string) => Promise<void>) | undefined;
  /** Called with each line that the command prints. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** Runs one command of a plan. */
export interface Runner {
  /** Never rejects because of the command, only when `onStart` does. */
  run(command: string, options: RunOptions): Promise<Outcome>;
}

export interface RunnerSettings {
  /** The directory of the plan, in which the commands run. */
  readonly directory: string;
  /** The program that is called instead of systemctl. */
  readonly systemctl: string;
  /** The command line that runs this dockbridge. */
  readonly dockbridge: readonly string[];
  /** For kubectl; undefined when kubectl is left to a person. */
  readonly kubeconfig: string | undefined;
}

/** How long a command may take to end after SIGINT, and how long its output may come after its end, ms. */
const GRACE_MS = 30_000;
const LAST_OUTPUT_MS = 500;

/** Nobody answers a question of a command, and checks compare what commands print. */
const ENVIRONMENT = {
  LC_ALL: 'C',
  SYSTEMD_PAGER: '',
  DEBIAN_FRONTEND: 'noninteractive',
  // Ubuntu's needrestart would restart Docker under the pods when apt-get has installed a package.
  NEEDRESTART_SUSPEND: '1',
};

/**
 * Waits for the word that the command is in the journal: if dockbridge is killed before, nothing happens. The functions take the
 * place of programs, so that the commands stay as plan.md has them. No text of a command enters this script.
 */
const SCRIPT = `
IFS= read -r word && [ "$word" = go ] || exit 125
exec </dev/null
cd -- "$1" || exit 125
_command=$2 _systemctl=$3
_dockbridge=("\${@:4}")
set --
systemctl() { command "$_systemctl" "$@"; }
dockbridge() { "\${_dockbridge[@]}" "$@"; }
set -e -o pipefail
eval "$_command"
`;

/** Runs commands with bash. */
export class BashRunner implements Runner {
  constructor(private readonly settings: RunnerSettings) {}

  async run(command: string, { limitMs, signal, place, onStart, onLine }: RunOptions): Promise<Outcome> {
    if (signal.aborted) return { exitCode: undefined, problem: messageOf(signal.reason), output: '' };
    const { directory, systemctl, dockbridge, kubeconfig } = this.settings;
    const isCluster = place === 'cluster' && kubeconfig !== undefined;
    // -p: no variable of the environment makes bash read another script or define other functions.
    const child = spawn('bash', ['-p', '-c', SCRIPT, 'bash', directory, command, systemctl, ...dockbridge], {
      // A process group of its own: Ctrl-C must reach dockbridge alone, which then ends the command.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...ENVIRONMENT,
        ...(isCluster ? { KUBECONFIG: kubeconfig } : {}),
      },
    });
    const lines = new LineReader(onLine);
    const ended = endOf(child, lines);
    let problem = '';
    const stop = (why: string): void => {
      problem ||= why;
      end(child);
    };
    const onAbort = (): void => stop(messageOf(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(() => stop(`it took longer than ${limitMs / 1000} s`), limitMs);
    try {
      await begin(child, onStart);
      const result = await ended;
      return { exitCode: result.exitCode, problem: problem || result.problem, output: lines.tail };
    } catch (error) {
      child.kill('SIGKILL');
      await ended;
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }
}

/** Tells the script to begin, when its process is in the journal. */
async function begin(child: ChildProcess, onStart: RunOptions['onStart']): Promise<void> {
  // The script may have ended already, which its exit code shows.
  child.stdin?.on('error', () => undefined);
  if (child.pid === undefined) return;
  const name = await processName(child.pid);
  if (name !== undefined) await onStart?.(name);
  child.stdin?.end('go\n');
}

/**
 * Resolves when bash has ended. A service that was started without systemd holds the same output open for ever, so the end of the output
 * is awaited for a moment only.
 */
async function endOf(child: ChildProcess, lines: LineReader): Promise<Pick<Outcome, 'exitCode' | 'problem'>> {
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  for (const stream of streams) stream.on('data', (bytes: Buffer) => lines.add(stream, bytes));
  const closed = once(child, 'close').catch(() => undefined);
  const result = await new Promise<Pick<Outcome, 'exitCode' | 'problem'>>((resolve) => {
    child.once('error', (error) => resolve({ exitCode: undefined, problem: `bash: ${messageOf(error)}` }));
    child.once('exit', (code, signal) =>
      resolve({ exitCode: code ?? undefined, problem: signal === null ? '' : `${signal} has ended it` }),
    );
  });
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([closed, new Promise((resolve) => (timer = setTimeout(resolve, LAST_OUTPUT_MS)))]);
  clearTimeout(timer);
  for (const stream of streams) stream.destroy();
  lines.end();
  return result;
}

/** Interrupts the command and all that it has started, and kills what goes on: bash lets background processes ignore SIGINT. */
function end(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-pid, signal);
    } catch {
      // All of them have ended.
    }
  };
  send('SIGINT');
  const timer = setTimeout(() => send('SIGKILL'), GRACE_MS);
  child.once('exit', () => {
    clearTimeout(timer);
    send('SIGKILL');
  });
}
