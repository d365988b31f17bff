import { join } from 'node:path';
import { mapLimited } from '../../lib/async/concurrency';
import type { FoundLine, LineFacts, NodeContainer } from '../facts';
import type { NodeRoot } from './node-root';

const CONCURRENCY = 8;
const MAX_FILE_BYTES = 256 * 1024;
/** How many files of one kind are read, and how many lines are kept. */
const MAX_FILES = 1_500;
const MAX_LINES = 200;
const MAX_TEXT = 160;

/** Where administrators put scripts, crontabs and units. Packages mostly put theirs elsewhere. */
const SCRIPTS: readonly (readonly [directory: string, depth: number])[] = [
  ['/etc/systemd/system', 2],
  ['/etc/cron.d', 1],
  ['/etc/cron.hourly', 1],
  ['/etc/cron.daily', 1],
  ['/etc/cron.weekly', 1],
  ['/etc/cron.monthly', 1],
  ['/var/spool/cron', 2],
  ['/usr/local/bin', 1],
  ['/usr/local/sbin', 1],
  ['/opt/bin', 1],
  ['/root/bin', 1],
];
const SCRIPT_FILES = ['/etc/crontab', '/etc/rc.local'];

const MONITORING: readonly (readonly [directory: string, depth: number])[] = [
  ['/etc/monit', 3],
  ['/etc/prometheus', 2],
  ['/etc/telegraf', 2],
  ['/etc/zabbix', 2],
  ['/etc/nagios', 2],
  ['/etc/collectd', 2],
  ['/etc/datadog-agent', 2],
  ['/etc/logrotate.d', 1],
  ['/etc/rsyslog.d', 1],
];

const SHIPPERS: readonly (readonly [directory: string, depth: number])[] = [
  ['/etc/fluent-bit', 2],
  ['/etc/fluent', 2],
  ['/etc/td-agent', 2],
  ['/etc/td-agent-bit', 2],
  ['/etc/promtail', 1],
  ['/etc/filebeat', 2],
  ['/etc/vector', 2],
];

/** The units of Docker, containerd and the CRI runtimes on top of Docker, and links to units elsewhere. These are not searched. */
const OWN_UNITS =
  /\/(docker\.(service|socket)|cri-dockerd?\.(service|socket)|dockbridge\.service|containerd\.service)(\.d\/|$)|\.(wants|requires)\//;
/** Matches a call of docker, the socket's path, or a dependency on a unit of Docker, but not `docker.io/…`, which is a registry. */
const CALLS_DOCKER =
  /(^|[\s;&|('"`$/])(docker-compose(?!\.)|docker(?=\s+[-a-z])|docker\.sock(?!\w))|^(Requires|Wants|After|BindsTo|PartOf)\s*=.*\bdocker\.(service|socket)/;
/** The inventory's theme `kubelet` examines these units. */
const KUBELET_UNITS = /\/kubelet\.service(\.d\/|$)/;
const MENTIONS_DOCKER = /\bdockerd?\b/i;
/**
 * Settings of fluent-bit, fluentd, promtail, filebeat and vector that parse Docker's JSON. `docker, cri` tries both formats and
 * needs no change.
 */
const DOCKER_FORMAT =
  /^\s*-?\s*(parser\s+docker\b|multiline\.parser\s+docker\s*$|docker_mode\s+on\b|docker\s*:\s*(\{\s*\})?\s*$|type\s*:\s*["']?docker["']?\s*$|path\s+\S*\/var\/lib\/docker\/containers\b|-?\s*["']?\/var\/lib\/docker\/containers\/\S*)/i;
const COMMENT = /^\s*(#|;|\/\/)/;

/** Subcommands of docker. Any other word after `docker` may be an argument of something else, so it is not kept. */
const SUBCOMMANDS = new Set(
  (
    'attach build builder buildx commit compose config container context cp create diff events exec export history image images ' +
    'import info inspect kill load login logout logs manifest network node pause plugin port ps pull push rename restart rm rmi ' +
    'run save search secret service stack start stats stop swarm system tag top trust unpause update version volume wait'
  ).split(' '),
);

/** A kind of line to search for, and what is kept of such a line. */
export interface LineSearch {
  readonly pattern: RegExp;
  /** Returns a part of a matching line that cannot be a secret. Arguments and values can be secrets, in any notation. */
  readonly shown: (line: string) => string;
}

/** The searches, by the field of the facts that gets the results. */
export const SEARCHES: Readonly<Record<keyof LineFacts, LineSearch>> = {
  docker: { pattern: CALLS_DOCKER, shown: callIn },
  monitoring: { pattern: MENTIONS_DOCKER, shown: wordIn },
  logFormat: { pattern: DOCKER_FORMAT, shown: (line) => DOCKER_FORMAT.exec(line)?.[0].trim() ?? '' },
};

/** Searches files that may mention Docker. Keeps only parts of matching lines, because the files may contain secrets. */
export async function readLines(node: NodeRoot, containers: readonly NodeContainer[]): Promise<LineFacts> {
  const scripts = [...SCRIPT_FILES, ...(await filesOf(node, SCRIPTS))].filter(
    (path) => !OWN_UNITS.test(path) && !KUBELET_UNITS.test(path),
  );
  const shipped = (await filesOf(node, SHIPPERS)).concat(await configMaps(node, containers));
  return {
    docker: await matching(node, scripts, SEARCHES.docker),
    monitoring: await matching(node, await filesOf(node, MONITORING), SEARCHES.monitoring),
    logFormat: await matching(node, shipped, SEARCHES.logFormat),
  };
}

/**
 * Returns the lines that match and are not comments.
 * @param text of any file; binaries have no lines.
 */
export function linesOf(path: string, text: string, { pattern, shown }: LineSearch): FoundLine[] {
  if (text.includes('\0')) return [];
  return text.split('\n').flatMap((line, at) => {
    if (line.length > 4_096 || COMMENT.test(line) || !pattern.test(line)) return [];
    const kept = shown(line);
    return [{ path, line: at + 1, text: kept.length > MAX_TEXT ? `${kept.slice(0, MAX_TEXT)}…` : kept }];
  });
}

/** Returns `docker run` for any call with this subcommand, or the name of the socket, the unit or the program. */
function callIn(line: string): string {
  const [, key, unit] = /^(\w+)\s*=.*\b(docker\.(?:service|socket))/.exec(line) ?? [];
  if (key !== undefined && unit !== undefined) return `${key}=${unit}`;
  const name = CALLS_DOCKER.exec(line)?.[2] ?? 'docker';
  const [, word = ''] = /(?:^|[\s;&|('"`$/])docker\s+([a-z]+)(?![\w.:/=-])/.exec(line) ?? [];
  return name === 'docker' && SUBCOMMANDS.has(word) ? `docker ${word}` : name;
}

/** Returns the word that contains `docker`, such as a path. A word has no `:` and no `@`, so it cannot contain a URL's user. */
function wordIn(line: string): string {
  return /[\w./*-]*\bdockerd?\b[\w./*-]*/i.exec(line)?.[0] ?? '';
}

async function matching(node: NodeRoot, paths: readonly string[], search: LineSearch): Promise<FoundLine[]> {
  const found = await mapLimited(paths.slice(0, MAX_FILES), CONCURRENCY, async (path) => {
    const text = await node.scan(path, MAX_FILE_BYTES);
    return text === undefined ? [] : linesOf(path, text, search);
  });
  return found.flat().slice(0, MAX_LINES);
}

async function filesOf(
  node: NodeRoot,
  places: readonly (readonly [directory: string, depth: number])[],
): Promise<string[]> {
  const listed = await mapLimited(places, CONCURRENCY, async ([directory, depth]) => {
    const names = (await node.names(directory, depth)) ?? [];
    return names.filter((name) => !name.endsWith('/')).map((name) => join(directory, name));
  });
  return listed.flat();
}

const LOG_DIRECTORIES = [
  '/',
  '/var',
  '/var/log',
  '/var/lib/docker',
  '/var/lib/docker/containers',
  '/var/log/pods',
];
const CONFIG_MAP = '/volumes/kubernetes.io~configmap/';

/** Lists the files of the ConfigMaps of log shippers. A container is one if it also mounts a directory with logs of all pods. */
async function configMaps(node: NodeRoot, containers: readonly NodeContainer[]): Promise<string[]> {
  const sources = containers
    .map(({ Mounts }) => (Mounts ?? []).map(({ Source = '' }) => Source))
    .filter((mounted) =>
      mounted.some((source) => LOG_DIRECTORIES.includes(source.replace(/\/+$/, '') || '/')),
    )
    .flat()
    .filter((source) => source.includes(CONFIG_MAP));
  const files = await mapLimited(new Set(sources), CONCURRENCY, async (source) => {
    // kubelet keeps the contents in a directory with a time as its name, and links each name of the ConfigMap to it.
    const names = await node.names(source);
    if (names === undefined) return [source];
    return names.filter((name) => !name.startsWith('..')).map((name) => join(source, name));
  });
  return files.flat();
}
