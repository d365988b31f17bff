import { access } from 'node:fs/promises';
import { isLocalEndpoint } from '../../docker/transport';
import { hasStatus } from '../../docker/errors';
import { errnoOf, messageOf } from '../../lib/errors';
import { flagOf, flagsOf } from '../../lib/flags';
import { SmallFile } from '../../node/disk/files';
import { isSameSocket } from '../../node/disk/socket-file';
import type { NodeProcess } from '../../node/process/node-processes';
import type { EngineFacts } from '../../store/records';
import { hasNetworkDeadlock, isAtLeast, toFacts } from '../../translate/shared/engine-facts';
import type { Check, EngineReport, Sources, Timed } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** The API version of Docker Engine 20.10. */
const OLDEST_API = '1.41';

/** Checks whether the Engine answers, and reports its version. */
export const engine: Check = {
  id: 'engine',
  run: async ({ version, info, settings }) => {
    const endpoint = settings.dockerEndpoint || 'DOCKER_HOST';
    const [who, what] = await Promise.allSettled([version(), info()]);
    if (who.status === 'rejected') return [judgeSilence(endpoint, messageOf(who.reason))];
    if (what.status === 'rejected') return [judgeHalf(who.value.Version, messageOf(what.reason))];
    return [judgeEngine(endpoint, toFacts(who.value, what.value.answer))];
  },
};

export function judgeSilence(endpoint: string, why: string): Finding {
  return fail(
    `${endpoint}: ${why}`,
    'systemctl status docker; journalctl -u docker. Is --docker-endpoint right, and may this user open the socket?',
  );
}

export function judgeHalf(version: string, why: string): Finding {
  return fail(
    `Docker Engine ${version} answers, but not to /info: ${why}`,
    'Find out what dockerd is waiting for (plugins, a storage driver, a dead disk). If you cannot: systemctl restart docker',
  );
}

export function judgeEngine(endpoint: string, facts: EngineFacts): Finding {
  const { engineVersion, apiVersion, storageDriver, containerdStore, rootDir, cgroupVersion } = facts;
  const images = containerdStore ? `${storageDriver}, containerd image store` : storageDriver;
  const found = `Docker Engine ${engineVersion} (API ${apiVersion}) at ${endpoint}: ${images}, data in ${rootDir}, cgroup v${cgroupVersion} with ${facts.cgroupDriver}`;
  if (!isAtLeast(apiVersion, OLDEST_API))
    return warn(
      `${found}. It is older than 20.10, the oldest version with which dockbridge was tested`,
      'Update the Engine.',
    );
  if (hasNetworkDeadlock(engineVersion))
    return ok(found, 'Its networks can deadlock (moby/moby#42545): 20.10.27 and later have the fix.');
  return ok(found);
}

/** Checks whether pods survive a restart of dockerd. */
export const liveRestore: Check = {
  id: 'live-restore',
  run: async ({ info }) => [judgeLiveRestore((await info()).answer.LiveRestoreEnabled ?? false)],
};

export function judgeLiveRestore(isOn: boolean): Finding {
  if (isOn) return ok('containers survive a restart of dockerd (live-restore)');
  return warn(
    'live-restore is off: each restart or update of dockerd ends all pods of the node',
    'Set "live-restore": true in daemon.json, then: systemctl reload docker (this ends no pod)',
  );
}

const USUAL_DAEMON_JSON = '/etc/docker/daemon.json';
const MAX_BYTES = 1 << 20;

/** The Engine's daemon.json and its command line. */
export interface DaemonJsonFacts {
  readonly path: string;
  /** Undefined when the file does not exist. */
  readonly text: string | undefined;
  /** The reason why the file cannot be read; '' when it can be read. */
  readonly problem: string;
  /** dockerd's command line, if its process was found. */
  readonly args: readonly string[];
  /** The security options that /info reports; empty when the Engine does not answer. */
  readonly securityOptions: readonly string[];
}

/** Finds the settings whose effects dockbridge cannot compensate (docs/engine-configuration.md). */
export const daemonJson: Check = {
  id: 'daemon-json',
  run: async ({ settings, processes, info }) => {
    // The check does not need the Engine's answers, because daemon.json may be what prevents the Engine from starting.
    const securityOptions = await info().then(
      ({ answer }) => answer.SecurityOptions ?? [],
      () => [],
    );
    const isLocal = isLocalEndpoint(settings.dockerEndpoint);
    const args = isLocal ? (dockerdAt(settings.dockerEndpoint, processes)?.args ?? []) : [];
    const path = flagOf(args, 'config-file') ?? USUAL_DAEMON_JSON;
    const { text, problem } = isLocal ? await read(path) : { text: undefined, problem: '' };
    return judgeDaemonJson({ path, text, problem, args, securityOptions });
  },
};

/**
 * Finds the dockerd that listens at `endpoint`. A dockerd without an address uses the default socket, and a dockerd with `fd:`
 * uses the sockets of its systemd unit.
 */
function dockerdAt(endpoint: string, processes: readonly NodeProcess[]): NodeProcess | undefined {
  const engines = processes.filter(({ name }) => name === 'dockerd');
  const addresses = ({ args }: NodeProcess): string[] => [...flagsOf(args, 'host'), ...flagsOf(args, 'H')];
  return (
    engines.find((one) => addresses(one).some((address) => isSameSocket(address, endpoint))) ??
    engines.find((one) => addresses(one).every((address) => address.startsWith('fd:')))
  );
}

async function read(path: string): Promise<Pick<DaemonJsonFacts, 'text' | 'problem'>> {
  try {
    return { text: await new SmallFile(path, MAX_BYTES).text(), problem: '' };
  } catch (error) {
    return { text: undefined, problem: errnoOf(error) === 'ENOENT' ? '' : messageOf(error) };
  }
}

export function judgeDaemonJson(facts: DaemonJsonFacts): readonly Finding[] {
  const { path, text, problem, args, securityOptions } = facts;
  const findings: Finding[] = [];
  if (problem !== '')
    findings.push(warn(`${path} cannot be read: ${problem}`, 'Run the doctor as root, or repair the file.'));
  const config = text === undefined ? {} : parseObject(text);
  if (config === undefined)
    findings.push(
      fail(
        `${path} is not a JSON object: dockerd will not start with it`,
        `Fix it: dockerd --validate --config-file ${path}`,
      ),
    );
  const options = Object.keys(isObject(config?.['log-opts']) ? config['log-opts'] : {});
  if (options.includes('max-buffer-size') || args.some((word) => word.includes('max-buffer-size=')))
    findings.push(
      warn(
        'log-opts set max-buffer-size: the Engine drops output of containers when its disk is too slow for them',
        `Remove "max-buffer-size" (and "mode") from log-opts in ${path}, and restart the Engine.`,
      ),
    );
  const remaps = [config?.['userns-remap'] ?? '', flagOf(args, 'userns-remap') ?? ''].some(
    (user) => user !== '',
  );
  if (remaps || securityOptions.some((option) => option.startsWith('name=userns')))
    findings.push(
      warn(
        'userns-remap is on: image files belong to remapped users, so users other than root may lack rights to their own files, and set-user-ID programs do not work',
        `Remove "userns-remap" from ${path}, and restart the Engine. All images must then be pulled again.`,
      ),
    );
  if (findings.length > 0) return findings;
  return [
    ok(
      text === undefined
        ? `${path} does not exist, so the defaults apply`
        : `${path} contains nothing that harms pods`,
    ),
  ];
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The name of dockbridge's own pause image (src/server/image/sandbox-image.ts), which is imported when the configured image
 * cannot be pulled.
 */
const OWN_PAUSE_IMAGE = 'dockbridge.local/pause:1';

/** Checks whether the image for sandboxes is present or can be imported. */
export const pauseImage: Check = {
  id: 'pause-image',
  run: async ({ docker, settings, pauseTar }) => {
    const configured = settings.podInfraContainerImage;
    const names = [...new Set([configured, OWN_PAUSE_IMAGE])];
    const there = await Promise.all(names.map((name) => isPresent(docker, name)));
    const canImport = await access(pauseTar).then(
      () => true,
      () => false,
    );
    return [judgePauseImage({ configured, present: names.find((_, at) => there[at]), canImport })];
  },
};

async function isPresent(docker: Sources['docker'], name: string): Promise<boolean> {
  try {
    await docker.inspectImage(name);
    return true;
  } catch (error) {
    if (hasStatus(error, 404)) return false;
    throw error;
  }
}

export function judgePauseImage({
  configured,
  present,
  canImport,
}: {
  readonly configured: string;
  readonly present: string | undefined;
  readonly canImport: boolean;
}): Finding {
  if (present !== undefined) return ok(`the image for sandboxes is present: ${present}`);
  if (canImport)
    return ok(
      `the first pod pulls ${configured}; if that fails, or is not done after 30 s, it imports the pause image that comes with dockbridge`,
    );
  return warn(
    `${configured} is missing, and this build of dockbridge has no pause image of its own: no pod can start while the registry is unreachable`,
    `docker pull ${configured}, or build dockbridge with make build`,
  );
}

const CLOCK_WARN_MS = 5_000;
const CLOCK_FAIL_MS = 60_000;

/** Checks whether the Engine's clock agrees with ours, because log lines, events and start times have the Engine's time. */
export const clock: Check = {
  id: 'clock',
  run: async ({ info }) => [judgeClock(await info())],
};

export function judgeClock({ answer, asked, answered }: Timed<Pick<EngineReport, 'SystemTime'>>): Finding {
  const engine = Date.parse(answer.SystemTime ?? '');
  if (Number.isNaN(engine)) return warn('the Engine does not report its time', 'Compare the clocks by hand.');
  // The Engine read its clock at some moment between our request and its answer.
  const off = engine < asked ? asked - engine : Math.max(0, engine - answered);
  if (off < CLOCK_WARN_MS) return ok("the Engine's clock agrees with ours");
  const found = `the Engine's clock is ${Math.round(off / 1000)} s ${engine < asked ? 'behind' : 'ahead of'} ours`;
  const cure = 'Let NTP (chrony, systemd-timesyncd) set the clocks of both machines.';
  return off < CLOCK_FAIL_MS ? warn(found, cure) : fail(found, cure);
}
