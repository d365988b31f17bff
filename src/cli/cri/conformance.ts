import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { failedPrecondition, invalidArgument, messageOf } from '../../lib/errors';
import { CONFORMANCE_SOURCES, CONFORMANCE_SUITE } from '../../release';
import { CriClient } from '../../server/client/cri-client';
import { parseEndpoint } from '../../server/listener/socket-listener';
import { say } from './proxied';

export interface ConformanceCommand {
  readonly endpoint: string;
  readonly junit?: string | undefined;
  readonly output: 'text' | 'json';
  /** A regular expression of Go for the names of specs. */
  readonly run?: string | undefined;
  /** A file with specs to skip, in addition to the suite's own list. */
  readonly skips?: string | undefined;
  /** The directory of a built suite. */
  readonly suite?: string | undefined;
  /** The runtime handler of all pods. */
  readonly handler?: string | undefined;
  /** The address of the suite's registry. */
  readonly registry?: string | undefined;
}

/** The directories in which the suite is looked for. */
export interface Places {
  /** The directory of a built suite next to the program. */
  readonly built: string;
  /** The directory of build.sh in a git tree of dockbridge. */
  readonly sources: string;
}

interface Version {
  readonly runtime_name: string;
  readonly runtime_version: string;
}

const NAME = 'conformance';
const VERSION_MS = 10_000;
const PROGRAM = 'suite';
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP'] as const;
const HOW_TO_GET_IT =
  'In a git tree of dockbridge, "bash test/conformance/build.sh DIR" builds it. DIR can be copied to any machine of the same architecture. ' +
  'Name it with --suite DIR or DOCKBRIDGE_CONFORMANCE=DIR, or copy it to that path (docs/harness.md)';

/**
 * `dockbridge cri conformance`: runs the conformance suite, which is a program in Go, on a runtime of this machine.
 * @returns the exit code: 0 if all specs passed or were skipped, 1 if a spec failed, 2 if the suite could not run.
 */
export async function conformance(
  command: ConformanceCommand,
  places: Places = { built: CONFORMANCE_SUITE, sources: CONFORMANCE_SOURCES },
): Promise<number> {
  try {
    const { runtime_name, runtime_version } = await versionOf(command.endpoint);
    const suite = await suiteIn(command.suite, places);
    const { endpoint, output, junit, run, skips, handler, registry } = command;
    const given = { endpoint, o: output, junit, run, skips, handler, registry };
    const args = Object.entries({
      ...given,
      'runtime-name': runtime_name,
      'runtime-version': runtime_version,
    }).flatMap(([name, value]) => (value === undefined ? [] : [`-${name}=${value}`]));
    const code = await exitCodeOf(join(suite, PROGRAM), args, 'inherit');
    return code === 0 || code === 1 ? code : 2;
  } catch (error) {
    say(NAME, messageOf(error));
    return 2;
  }
}

/** Returns the runtime's answer to Version. @throws an error that names the endpoint if it does not answer. */
async function versionOf(endpoint: string): Promise<Version> {
  if (!endpoint.startsWith('unix://'))
    throw invalidArgument('--endpoint', `"${endpoint}" is not unix:///path`);
  parseEndpoint(endpoint, {}, process.pid);
  const client = new CriClient(endpoint);
  try {
    return await client.call('Version', {}, VERSION_MS);
  } catch (error) {
    throw failedPrecondition(
      `${endpoint} does not answer CRI's Version (${messageOf(error)}): the runtime must run on this machine and speak runtime.v1, ` +
        'and this user must be allowed to open its socket',
    );
  } finally {
    client.close();
  }
}

/**
 * Returns the directory of a built suite. The user's directory comes first. In a git tree, the suite is built from the sources, so that a
 * developer never runs an old one. Otherwise the suite next to the program is used.
 * @throws an error that says how to get the suite if there is none.
 */
async function suiteIn(given: string | undefined, { built, sources }: Places): Promise<string> {
  if (given !== undefined) {
    const directory = resolve(given);
    if (await isProgram(join(directory, PROGRAM))) return directory;
    throw invalidArgument('--suite', `${directory} has no program "${PROGRAM}". ${HOW_TO_GET_IT}`);
  }
  const script = join(sources, 'build.sh');
  if (await isThere(script)) return buildSuite(script);
  if (await isProgram(join(built, PROGRAM))) return built;
  throw failedPrecondition(`the conformance suite is not in ${built}. ${HOW_TO_GET_IT}`);
}

async function buildSuite(script: string): Promise<string> {
  const directory = join(dirname(script), '.built');
  if (!(await isProgram(join(directory, PROGRAM))))
    say(NAME, 'the suite is being built, which takes some minutes the first time');
  // The standard output is for the report.
  const code = await exitCodeOf('bash', [script, directory], ['ignore', 2, 2]);
  if (code === 0) return directory;
  throw failedPrecondition(
    `${script} failed. It needs Go (GO=FILE selects a Go binary; without it, Debian's is downloaded), Debian's busybox, gcc and libc6-dev ` +
      '("make setup" installs them), and the first time also a Go module proxy. --suite DIR uses a suite that was built elsewhere',
  );
}

/**
 * Runs a program and passes end signals on to it. When the suite gets such a signal, it removes its pods before it ends.
 * @returns the exit code; undefined if a signal ended the program.
 */
async function exitCodeOf(
  program: string,
  args: readonly string[],
  stdio: StdioOptions,
): Promise<number | undefined> {
  const child: ChildProcess = spawn(program, args, { stdio });
  const passOn = (signal: NodeJS.Signals): void => {
    child.kill(signal === 'SIGINT' ? signal : 'SIGTERM');
  };
  for (const signal of END_SIGNALS) process.on(signal, passOn);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? undefined;
  } finally {
    for (const signal of END_SIGNALS) process.off(signal, passOn);
  }
}

async function isProgram(file: string): Promise<boolean> {
  return isThere(file, constants.X_OK);
}

async function isThere(file: string, mode = constants.F_OK): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}
