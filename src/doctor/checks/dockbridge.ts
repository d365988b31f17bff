import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { faultLine, type Fault } from '../../config/fault';
import { OPTIONS } from '../../config/options';
import { overrideLine, type Override } from '../../config/overrides';
import { errnoOf, messageOf } from '../../lib/errors';
import { flagOf } from '../../lib/flags';
import { isSameSocket, socketPath } from '../../node/disk/socket-file';
import type { NodeProcess } from '../../node/process/node-processes';
import { CriClient } from '../../server/client/cri-client';
import { atMost, type Check, type Sources } from '../check';
import { fail, ok, warn, type Finding } from '../report';
import { cni } from './cni';

/** Checks whether dockbridge could start with its configuration files, and whether each value in them has an effect. */
export const configuration: Check = {
  id: 'configuration',
  run: ({ faults, overrides }) => Promise.resolve(judgeConfiguration(faults, overrides)),
};

export function judgeConfiguration(
  faults: readonly Fault[],
  overrides: readonly Override[],
): readonly Finding[] {
  if (faults.length === 0 && overrides.length === 0) return [ok('the configuration files have no mistakes')];
  return [
    ...faults.map((fault) =>
      fail(
        faultLine(fault),
        'Correct the file, then run `dockbridge config check`. dockbridge does not start with such a file. The other checks ignored this setting.',
      ),
    ),
    ...overrides.map((override) => warn(overrideLine(override), cureOfOverride(override))),
  ];
}

function cureOfOverride({ by }: Override): string {
  const place = by.startsWith('--') ? "the unit's ExecStart=" : '/etc/default/dockbridge or the unit';
  return `Remove ${by} from ${place}, then run: systemctl restart dockbridge. Or remove the line from the file.`;
}

/** The socket's mode, with which only root and root's group can open it. */
const SOCKET_MODE = 0o660;
const START = 'Start dockbridge (systemctl start dockbridge), and read its log: journalctl -u dockbridge';

interface Condition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
}

/** The facts about the place where dockbridge should listen. */
export interface SocketFacts {
  readonly path: string;
  /** The file's permissions; undefined when the file does not exist. */
  readonly mode: number | undefined;
  readonly isSocket: boolean;
  /** The reason why the socket does not answer; '' when it answers. */
  readonly problem: string;
  /** Name and version of the runtime that answers, such as `docker 28.5.2`. */
  readonly runtime: string;
  /** The version of the dockbridge that answers; '' for another runtime. */
  readonly version: string;
  readonly conditions: readonly Condition[];
  /** Whether the check cni fails, which explains a false NetworkReady. */
  readonly isCniBroken: boolean;
}

/** Checks whether dockbridge answers on its socket, who can open the socket, and which conditions Status reports. */
export const criSocket: Check = {
  id: 'cri-socket',
  run: async (sources) => {
    const { settings, answerMs } = sources;
    const { endpoint } = settings;
    if (endpoint.startsWith('fd:'))
      return [
        warn(
          `not checked: ${endpoint} means a socket that systemd passes to dockbridge, and its path could not be found`,
          'Run the doctor with --container-runtime-endpoint unix:///the/path/of/the/socket/unit.',
        ),
      ];
    const began = performance.now();
    const found = await ask(socketPath(endpoint), answerMs);
    const left = Math.max(0, answerMs - (performance.now() - began));
    return judgeSocket({ ...found, isCniBroken: !isNetworkReady(found) && (await failsCni(sources, left)) });
  },
};

function isNetworkReady({ conditions }: Pick<SocketFacts, 'conditions'>): boolean {
  return conditions.every(({ type, status }) => status || type !== 'NetworkReady');
}

/** Whether the check cni fails; false if that is not known within `ms`. */
async function failsCni(sources: Sources, ms: number): Promise<boolean> {
  const { value = [] } = await atMost(ms, cni.run(sources));
  return value.some(({ level }) => level === 'fail');
}

async function ask(path: string, answerMs: number): Promise<Omit<SocketFacts, 'isCniBroken'>> {
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

/** Reads the version from `{"version":"0.1.0",…}`, which only dockbridge has in its verbose status. */
function versionIn(text: string | undefined): string {
  if (text === undefined) return '';
  const told: unknown = JSON.parse(text);
  return typeof told === 'object' && told !== null && 'version' in told ? String(told.version) : '';
}

export function judgeSocket(facts: SocketFacts): readonly Finding[] {
  const { path, mode, isSocket, problem, runtime, version, conditions, isCniBroken } = facts;
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
        'Stop that runtime, then start dockbridge: docs/switching.md. Or run the doctor with the --container-runtime-endpoint of dockbridge.',
      ),
    );
  for (const { type, status, reason, message } of conditions) {
    // The check cni reports the cause and the remedy, so the same problem is not reported twice.
    if (type === 'NetworkReady' && isCniBroken) continue;
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
      `${path} answers: dockbridge ${version}, ${runtime}, ${conditions.map(({ type, status }) => (status ? type : `${type} is false (see cni)`)).join(', ')}, mode 0660`,
    ),
  ];
}

function cureOf(type: string): string {
  return type === 'NetworkReady'
    ? 'See the result of the check cni, and docs/networking.md.'
    : 'docs/reliability.md explains each reason and what to do.';
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

const WANTED_BY = ['multi-user.target.wants', 'sockets.target.wants'];
const CRI_DOCKERD_UNITS = ['cri-docker.service', 'cri-docker.socket', 'cri-dockerd.service'];

export interface CriDockerdFacts {
  readonly running: readonly NodeProcess[];
  readonly dockbridgeRuns: boolean;
  /** The endpoint on which dockbridge listens. */
  readonly endpoint: string;
  /** The systemd links that start cri-dockerd at the next boot. */
  readonly enabled: readonly string[];
}

/** Checks whether cri-dockerd conflicts with dockbridge, now or after the next boot. */
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
 * Lists the links in systemd's directory that start cri-dockerd at the next boot.
 * @param own the unit in which dockbridge runs (see unitOf). It may have cri-dockerd's name.
 */
export async function enabledUnits(directory: string, own: string): Promise<string[]> {
  const links = WANTED_BY.flatMap((target) => CRI_DOCKERD_UNITS.map((unit) => join(directory, target, unit)));
  // dockbridge's own unit does not count. It may have cri-dockerd's name as an alias, for other units that know only this name.
  const texts = await Promise.all(links.map((link) => readFile(link, 'utf8').catch(() => 'dockbridge')));
  return links.filter((link, at) => nameOf(link) !== own && texts[at]?.includes('dockbridge') === false);
}

/**
 * Returns the name, without `.service`, of the systemd unit in which a process runs; '' if it runs in no unit.
 * @param proc the path of /proc; tests replace it.
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
    const who = `cri-dockerd is running (process ${process.pid})`;
    if (!dockbridgeRuns)
      return warn(
        `${who} and serves this node; dockbridge is not running`,
        `Run dockbridge switch check, which reports what a switch does to each pod, then: ${disable}`,
      );
    return fail(
      `${who} beside dockbridge${isSameSocket(theirs, endpoint) ? ', with the same socket' : ''}: both write logs and remove sandboxes of the same Engine`,
      `${disable}. To only observe beside cri-dockerd, run: dockbridge serve --observe`,
    );
  }
  if (enabled.length > 0)
    return warn(
      `cri-dockerd is not running, but it will be started at the next boot: ${enabled.join(', ')}`,
      disable,
    );
  return ok('cri-dockerd is not running, and systemd will not start it');
}

/**
 * The name of the pod check in the report. The check is not in the list of checks, because it changes something and runs only
 * on request.
 */
export const POD = 'pod';

export interface PodTrial {
  readonly image: string;
  /** The first failed step, such as `RunPodSandbox`. */
  readonly failure?: { readonly step: string; readonly message: string } | undefined;
  readonly times: readonly (readonly [step: string, ms: number])[];
  readonly kubeletRuns: boolean;
}

/** Makes the finding about a pod that was run through CRI. */
export function judgePod({ image, failure, times, kubeletRuns }: PodTrial): Finding {
  if (failure === undefined) {
    const steps = times.map(([step, ms]) => `${step} ${(ms / 1000).toFixed(1)} s`).join(', ');
    return ok(`a pod with two containers ran and was removed: ${steps}`);
  }
  const found = `${failure.step} failed: ${failure.message}`;
  if (failure.step === 'image')
    return fail(
      found,
      `Pull ${image} by hand, or set --image to another image that has /bin/sh and is on the node.`,
    );
  const doubt = kubeletRuns
    ? ' kubelet ends pods that it does not know, which may be the cause: run the doctor again.'
    : '';
  return fail(
    found,
    `See the other lines, especially cri-socket, engine and cni, and dockbridge's log: journalctl -u dockbridge.${doubt}`,
  );
}
