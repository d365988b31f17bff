import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { faultLine, type Fault } from '../../config/fault';
import { OPTIONS } from '../../config/options';
import { errnoOf, messageOf } from '../../lib/errors';
import { flagOf } from '../../lib/flags';
import { isSameSocket, socketPath } from '../../node/disk/socket-file';
import type { NodeProcess } from '../../node/process/node-processes';
import { CriClient } from '../../server/client/cri-client';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** Whether dockbridge could start with its configuration files. */
export const configuration: Check = {
  id: 'configuration',
  run: ({ faults }) => Promise.resolve(judgeConfiguration(faults)),
};

export function judgeConfiguration(faults: readonly Fault[]): readonly Finding[] {
  if (faults.length === 0) return [ok('the configuration files have no mistakes')];
  return faults.map((fault) =>
    fail(
      faultLine(fault),
      'Correct it, and run `dockbridge config check`: dockbridge does not start with such a file. The other lines were examined without it.',
    ),
  );
}

/** With this mode only root and its group can open the socket. */
const SOCKET_MODE = 0o660;
const START = 'Start dockbridge (systemctl start dockbridge), and read its log: journalctl -u dockbridge';

interface Condition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** What was found where dockbridge should listen. */
export interface SocketFacts {
  readonly path: string;
  /** Permissions; undefined when there is no such file. */
  readonly mode: number | undefined;
  readonly isSocket: boolean;
  /** Why the socket does not answer; '' when it does. */
  readonly problem: string;
  /** Name and version of the runtime that answers, such as `docker 28.5.2`. */
  readonly runtime: string;
  /** The version of the dockbridge that answers; '' for another runtime. */
  readonly version: string;
  readonly conditions: readonly Condition[];
}

/** Checks whether dockbridge serves on its socket, who can open the socket, and which conditions Status reports. */
export const criSocket: Check = {
  id: 'cri-socket',
  run: async ({ settings, answerMs }) => {
    const { endpoint } = settings;
    if (endpoint.startsWith('fd:'))
      return [
        warn(
          `not checked: ${endpoint} is a socket that systemd passes to dockbridge, and its path is not known here`,
          'Run the doctor with --container-runtime-endpoint unix:///the/path/of/the/socket/unit.',
        ),
      ];
    return judgeSocket(await ask(socketPath(endpoint), answerMs));
  },
};

async function ask(path: string, answerMs: number): Promise<SocketFacts> {
  const nobody = { path, problem: '', runtime: '', version: '', conditions: [] };
  let file;
  try {
    file = await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { ...nobody, mode: undefined, isSocket: false };
    throw error;
  }
  const seen = { mode: file.mode & 0o777, isSocket: file.isSocket() };
  if (!seen.isSocket) return { ...nobody, ...seen };
  const client = new CriClient(`unix://${path}`);
  try {
    const [{ runtime_name, runtime_version }, { status, info }] = await Promise.all([
      client.call('Version', {}, answerMs),
      client.call('Status', { verbose: true }, answerMs),
    ]);
    return {
      ...{ path, ...seen, problem: '', runtime: `${runtime_name} ${runtime_version}` },
      version: versionIn(info.dockbridge),
      conditions: status?.conditions ?? [],
    };
  } catch (error) {
    return { ...nobody, ...seen, problem: messageOf(error) };
  } finally {
    client.close();
  }
}

/** Reads the version in `{"version":"0.1.0",…}`. No other runtime has this in its verbose status. */
function versionIn(text: string | undefined): string {
  if (text === undefined) return '';
  const told: unknown = JSON.parse(text);
  return typeof told === 'object' && told !== null && 'version' in told ? String(told.version) : '';
}

export function judgeSocket(facts: SocketFacts): readonly Finding[] {
  const { path, mode, isSocket, problem, runtime, version, conditions } = facts;
  if (mode === undefined) return [fail(`nothing listens: ${path} does not exist`, START)];
  if (!isSocket)
    return [
      fail(
        `${path} is not a socket`,
        `Remove it, or give dockbridge another --container-runtime-endpoint. ${START}`,
      ),
    ];
  if (problem !== '') return [fail(`${path} does not answer: ${problem}`, START)];
  const findings: Finding[] = [];
  if (version === '')
    findings.push(
      fail(
        `${path} belongs to another runtime (${runtime}), not to dockbridge`,
        'Stop that runtime, then start dockbridge: docs/switching.md. Or run the doctor with the --container-runtime-endpoint that dockbridge has.',
      ),
    );
  for (const { type, status, reason, message } of conditions) {
    if (!status) findings.push(fail(`${type} is false: ${reason}: ${message}`, cureOf(type)));
    else if (reason !== '') findings.push(warn(`${type}, but ${reason}: ${message}`, cureOf(type)));
  }
  if ((mode & 0o007) !== 0)
    findings.push(
      fail(
        `${path} has mode ${octal(mode)}: every user of this node can run containers as root`,
        `chmod 0660 ${path}; a systemd socket unit needs SocketMode=0660.`,
      ),
    );
  else if (mode !== SOCKET_MODE)
    findings.push(
      warn(
        `${path} has mode ${octal(mode)}, not 0660`,
        `chmod 0660 ${path}; a systemd socket unit needs SocketMode=0660.`,
      ),
    );
  if (findings.length > 0) return findings;
  return [
    ok(
      `${path} answers: dockbridge ${version}, ${runtime}, ${conditions.map(({ type }) => type).join(', ')}, mode 0660`,
    ),
  ];
}

function cureOf(type: string): string {
  return type === 'NetworkReady'
    ? 'See the result of the check cni, and docs/networking.md.'
    : 'docs/reliability.md explains each reason and says what to do.';
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

const WANTED_BY = ['multi-user.target.wants', 'sockets.target.wants'];
const CRI_DOCKERD_UNITS = ['cri-docker.service', 'cri-docker.socket', 'cri-dockerd.service'];

export interface CriDockerdFacts {
  readonly running: readonly NodeProcess[];
  readonly dockbridgeRuns: boolean;
  /** Where dockbridge listens. */
  readonly endpoint: string;
  /** Links of systemd's that start it at the next boot. */
  readonly enabled: readonly string[];
}

/** Whether cri-dockerd is, or will be, in the way. */
export const criDockerd: Check = {
  id: 'cri-dockerd',
  run: async ({ processes, daemon, settings }) => [
    judgeCriDockerd({
      running: processes.filter(({ name }) => name === 'cri-dockerd'),
      dockbridgeRuns: daemon !== undefined,
      endpoint: settings.endpoint,
      enabled: await enabledUnits(
        '/etc/systemd/system',
        daemon === undefined ? '' : await unitOf(daemon.pid),
      ),
    }),
  ],
};

/**
 * Links in systemd's directory that start cri-dockerd at the next boot.
 * @param own the unit that dockbridge runs in, which may have cri-dockerd's name; see unitOf.
 */
export async function enabledUnits(directory: string, own: string): Promise<string[]> {
  const links = WANTED_BY.flatMap((target) => CRI_DOCKERD_UNITS.map((unit) => join(directory, target, unit)));
  // A unit named after cri-dockerd may start dockbridge, as an alias for other units that only know that name.
  const texts = await Promise.all(links.map((link) => readFile(link, 'utf8').catch(() => 'dockbridge')));
  return links.filter((link, at) => nameOf(link) !== own && texts[at]?.includes('dockbridge') === false);
}

/**
 * The name, without `.service`, of the unit that systemd runs a process in; '' where it runs in none.
 * @param proc where /proc is; tests have their own.
 */
export async function unitOf(pid: number, proc = '/proc'): Promise<string> {
  const groups = await readFile(join(proc, String(pid), 'cgroup'), 'utf8').catch(() => '');
  return /\/([^/\n]+)\.service$/m.exec(groups)?.[1] ?? '';
}

function nameOf(unit: string): string {
  return basename(unit).replace(/\.(service|socket)$/, '');
}

export function judgeCriDockerd({ running, dockbridgeRuns, endpoint, enabled }: CriDockerdFacts): Finding {
  const disable = 'systemctl disable --now cri-docker.socket cri-docker.service';
  const [process] = running;
  if (process !== undefined) {
    const theirs = flagOf(process.args, OPTIONS.endpoint.name) ?? OPTIONS.endpoint.fallback;
    const who = `cri-dockerd runs (process ${process.pid})`;
    if (!dockbridgeRuns)
      return warn(
        `${who} and serves this node; dockbridge does not run`,
        `dockbridge switch check says what a switch does to each pod; then: ${disable}`,
      );
    return fail(
      `${who} beside dockbridge${isSameSocket(theirs, endpoint) ? ', and wants the same socket' : ''}: both write logs and remove sandboxes of one Engine`,
      `${disable}. To only watch beside it: dockbridge serve --observe`,
    );
  }
  if (enabled.length > 0)
    return warn(
      `cri-dockerd does not run, and will be started at the next boot: ${enabled.join(', ')}`,
      disable,
    );
  return ok('cri-dockerd neither runs nor will be started by systemd');
}

/** Its name in the report. It is not in the list of checks, because it changes something and runs only on request. */
export const POD = 'pod';

export interface PodTrial {
  readonly image: string;
  /** The first step that failed, such as `RunPodSandbox`. */
  readonly failure?: { readonly step: string; readonly message: string } | undefined;
  readonly times: readonly (readonly [step: string, ms: number])[];
  readonly kubeletRuns: boolean;
}

/** What became of a pod that was run through CRI. */
export function judgePod({ image, failure, times, kubeletRuns }: PodTrial): Finding {
  if (failure === undefined) {
    const steps = times.map(([step, ms]) => `${step} ${(ms / 1000).toFixed(1)} s`).join(', ');
    return ok(`a pod with two containers ran and was removed: ${steps}`);
  }
  const found = `${failure.step} failed: ${failure.message}`;
  if (failure.step === 'image')
    return fail(found, `Pull ${image} by hand, or give --image another with /bin/sh that is on the node.`);
  const doubt = kubeletRuns ? ' kubelet ends pods that it does not know: in doubt run it again.' : '';
  return fail(
    found,
    `See the other lines, above all cri-socket, engine and cni, and dockbridge's log: journalctl -u dockbridge.${doubt}`,
  );
}
