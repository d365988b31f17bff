import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pause } from '../../lib/async/abortable';
import { errnoOf, type ErrorCode, messageOf, RuntimeError } from '../../lib/errors';
import { parseObject, text } from '../../lib/json';

/** CNI's code for "try again later". */
const TRY_AGAIN_LATER = 11;
const EXCERPT = 300;

/** The failure of a plugin, with the plugin's own message. */
export class CniPluginError extends RuntimeError {
  constructor(
    code: ErrorCode,
    readonly plugin: string,
    readonly command: string,
    message: string,
    /** The plugin's own error code; undefined when the plugin reported none. */
    readonly pluginCode?: number,
    /** How the plugin's process ended, in the form of FailedRun; undefined when this is not the reason for the failure. */
    readonly exit?: string,
  ) {
    super(code, message);
    this.name = 'CniPluginError';
  }
}

export interface FailedRun {
  readonly plugin: string;
  readonly command: string;
  /** Exit code or signal name. */
  readonly exit: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Describes a plugin that failed, by its JSON error if it wrote one, otherwise by its output. */
export function failedRun({ plugin, command, exit, stdout, stderr }: FailedRun): CniPluginError {
  const answer = parseObject(stdout);
  const msg = text(answer?.msg);
  if (answer !== undefined && (typeof answer.code === 'number' || msg !== '')) {
    const pluginCode = typeof answer.code === 'number' ? answer.code : undefined;
    const details = text(answer.details);
    const code = pluginCode === undefined ? '' : ` (code ${pluginCode})`;
    return new CniPluginError(
      pluginCode === TRY_AGAIN_LATER ? 'UNAVAILABLE' : 'UNKNOWN',
      plugin,
      command,
      `CNI plugin "${plugin}" failed on ${command}${code}: ${msg}${details === '' ? '' : `: ${details}`}`,
      pluginCode,
      exit,
    );
  }
  const said = excerpt(stderr.trim() === '' ? stdout : stderr);
  return new CniPluginError(
    'UNKNOWN',
    plugin,
    command,
    `CNI plugin "${plugin}" ended with ${exit} on ${command} and ${said === '' ? 'said nothing' : `said: ${said}`}`,
    undefined,
    exit,
  );
}

export function garbageAnswer(plugin: string, command: string, stdout: string): CniPluginError {
  const said = excerpt(stdout);
  return new CniPluginError(
    'UNKNOWN',
    plugin,
    command,
    `CNI plugin "${plugin}" answered ${command} with ${said === '' ? 'nothing' : `something that is not a JSON object: ${said}`}`,
  );
}

function excerpt(output: string): string {
  const line = output.trim().replace(/\s+/g, ' ');
  return line.length > EXCERPT ? `${line.slice(0, EXCERPT)}…` : line;
}

/** A plugin that writes more bytes than this to its standard output is killed. A result has a few hundred bytes. */
const MAX_STDOUT_BYTES = 1024 * 1024;
const MAX_STDERR_BYTES = 64 * 1024;
/** Milliseconds to wait after SIGKILL, because the kernel may still have to finish a system call. */
const KILL_WAIT_MS = 5_000;
const GIVEN_UP = 'given up';
/** How often a run is tried again while the binary is being written, which makes running it fail (ETXTBSY). */
const BUSY_RETRIES = 10;
const BUSY_RETRY_MS = 100;

export interface PluginRun {
  readonly plugin: string;
  readonly path: string;
  /** `CNI_COMMAND`. */
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  /** Kills the plugin when it aborts, like the timeout. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with the pid before the plugin gets its input. The plugin has done nothing yet, because plugins first read their
   * input. The returned function is called at the end, with `false` when the plugin did not end although it was killed.
   */
  readonly onStarted?: ((pid: number) => Promise<(ended: boolean) => Promise<void>>) | undefined;
}

/**
 * Runs a plugin once, in a process group of its own. The whole group is killed if the plugin takes too long, writes too much
 * or is aborted.
 * @returns the plugin's standard output.
 * @throws CniPluginError naming the plugin when it fails, writes too much or takes too long; the signal's reason when it was
 * aborted.
 */
export async function runPlugin(run: PluginRun): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    run.signal?.throwIfAborted();
    try {
      return await runOnce(run);
    } catch (error) {
      if (errnoOf(error) === 'ETXTBSY' && attempt < BUSY_RETRIES) {
        await pause(BUSY_RETRY_MS, run.signal ?? new AbortController().signal);
        continue;
      }
      if (error instanceof RuntimeError || errnoOf(error) === undefined) throw error;
      const { plugin, command, path } = run;
      throw new CniPluginError(
        'FAILED_PRECONDITION',
        plugin,
        command,
        `CNI plugin "${plugin}" cannot be run on ${command}: ${path}: ${messageOf(error)}`,
      );
    }
  }
}

async function runOnce(run: PluginRun): Promise<string> {
  const { plugin, command } = run;
  const child = spawn(run.path, [], {
    env: { ...process.env, ...run.environment, CNI_COMMAND: command },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    cwd: '/',
  });
  let stopped: Error | undefined;
  let giveUp!: (exit: string) => void;
  const givenUp = new Promise<string>((resolve) => (giveUp = resolve));
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (why: Error): void => {
    stopped ??= why;
    killGroup(child);
    killTimer ??= setTimeout(() => giveUp(GIVEN_UP), KILL_WAIT_MS);
  };
  const fail = (why: string): CniPluginError =>
    new CniPluginError('UNKNOWN', plugin, command, `CNI plugin "${plugin}" ${why} on ${command}`);
  const stdout = collect(child.stdout, MAX_STDOUT_BYTES, () =>
    stop(fail(`wrote more than ${MAX_STDOUT_BYTES} bytes`)),
  );
  const stderr = collect(child.stderr, MAX_STDERR_BYTES, () => undefined);
  const onAbort = (): void => stop(run.signal?.reason as Error);
  run.signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(
    () =>
      stop(
        new CniPluginError(
          'DEADLINE_EXCEEDED',
          plugin,
          command,
          `CNI plugin "${plugin}" took longer than ${run.timeoutMs} ms on ${command} (--cni-timeout) and was killed`,
        ),
      ),
    run.timeoutMs,
  );
  // The pipe breaks if the plugin does not read its input.
  child.stdin.on('error', () => undefined);
  const end = ended(child);
  let hasEnded = false;
  let onEnded: ((ended: boolean) => Promise<void>) | undefined;
  try {
    if (child.pid !== undefined) onEnded = await run.onStarted?.(child.pid);
    child.stdin.end(run.stdin);
    const exit = await Promise.race([end, givenUp]);
    hasEnded = exit !== GIVEN_UP;
    if (stopped !== undefined) throw stopped;
    if (exit !== '0')
      throw failedRun({ plugin, command, exit: describe(exit), stdout: stdout(), stderr: stderr() });
    return stdout();
  } finally {
    clearTimeout(timer);
    clearTimeout(killTimer);
    run.signal?.removeEventListener('abort', onAbort);
    await onEnded?.(hasEnded);
  }
}

/** Resolves with the exit code or signal once the output is complete. Rejects when the process could not be started. */
async function ended(child: ChildProcess): Promise<string> {
  const end = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? String(code)));
  });
  // The handler prevents an unhandled rejection when the promise rejects before anybody awaits it.
  end.catch(() => undefined);
  return end;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The whole group is gone already.
  }
  // A descendant that has left the group may keep the pipes open.
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function collect(stream: Readable, limit: number, onOverflow: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    if (bytes + chunk.length > limit) {
      if (bytes <= limit) onOverflow();
      bytes = limit + 1;
      return;
    }
    bytes += chunk.length;
    chunks.push(chunk);
  });
  stream.on('error', () => undefined);
  return () => Buffer.concat(chunks).toString('utf8');
}

function describe(exit: string): string {
  return exit.startsWith('SIG') ? exit : `exit code ${exit}`;
}
