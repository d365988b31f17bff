import { stat } from 'node:fs/promises';
import { errnoOf, messageOf } from '../../lib/errors';
import { socketPath } from '../../node/disk/socket-file';
import { CriClient } from '../../server/client/cri-client';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** With this mode only root and its group can open the socket. */
const MODE = 0o660;
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
  else if (mode !== MODE)
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
