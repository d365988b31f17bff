import {
  anyBindAddress,
  anyList,
  duration,
  flag,
  integerIn,
  list,
  localAddress,
  logLevel,
  oneOf,
  size,
  streamingAddress,
  text,
  type Parse,
} from './parsers';

/**
 * One option. It appears on the command line, in the environment (`DOCKBRIDGE_` and the name in capitals), in the
 * configuration file (under its name), in `--help` and in docs/options.md. All flags of cri-dockerd are here under their own
 * names, so that systemd units work as they are.
 */
export interface Option<T> {
  /** The name without the leading dashes. */
  readonly name: string;
  /** The placeholder of the value, shown in help; undefined for a switch. */
  readonly value: string | undefined;
  readonly fallback: string;
  /** The default under `--observe`, for an option that needs another one there. */
  readonly observing?: string;
  /** Variable with which a wrapper that has another default tells it (packaging/cri-dockerd/cri-dockerd.sh). */
  readonly fallbackVariable?: string;
  readonly parse: Parse<T>;
  readonly help: string;
  /** Whether SIGHUP is enough to apply a new value from the files, or a restart is needed. */
  readonly reload: 'live' | 'restart';
  /** Why the option has no effect here. It is accepted because cri-dockerd has it, and dockbridge says once that it has none. */
  readonly ignored?: string;
}

const option = <T>(
  name: string,
  value: string | undefined,
  fallback: string,
  parse: Parse<T>,
  help: string,
  ignored?: string,
): Option<T> & { reload: 'restart' } => ({
  ...{ name, value, fallback, parse, help },
  reload: 'restart',
  ...(ignored === undefined ? {} : { ignored }),
});

/** Marks a setting as live: its users read it again each time that they need it (src/config/live-settings.ts). */
const live = <T>(given: Option<T>): Option<T> & { reload: 'live' } => ({ ...given, reload: 'live' });

/** Gives an option another default under `--observe`. */
const whenObserving = <T>(
  observing: string,
  given: Option<T> & { reload: 'restart' },
): Option<T> & { reload: 'restart' } => ({
  ...given,
  observing,
  help: `${given.help}; with --observe ${observing}`,
});

export const OPTIONS = {
  observe: option(
    'observe',
    undefined,
    'false',
    flag,
    'answer beside the runtime that serves this node, and change nothing: lists, statuses and stats only (docs/switching.md)',
  ),
  endpoint: whenObserving(
    'unix:///run/dockbridge-observe.sock',
    option(
      'container-runtime-endpoint',
      'URL',
      'unix:///var/run/cri-dockerd.sock',
      text,
      "where kubelet and crictl connect: unix:///path, or fd:// for systemd's socket; the default is cri-dockerd's, which crictl finds by itself",
    ),
  ),
  dockerEndpoint: option(
    'docker-endpoint',
    'URL',
    'unix:///var/run/docker.sock',
    text,
    "the Docker Engine: unix:///path or tcp://host:port; '' takes DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
  ),
  stateDir: option(
    'state-dir',
    'DIR',
    '/var/lib/dockbridge',
    text,
    'what must survive a restart: positions in container logs',
  ),
  runDir: option(
    'run-dir',
    'DIR',
    '/run/dockbridge',
    text,
    'what may be lost at a boot: sockets for metrics and hand-over; each dockbridge of a node needs its own',
  ),
  podInfraContainerImage: option(
    'pod-infra-container-image',
    'IMAGE',
    'registry.k8s.io/pause:3.10',
    text,
    'image of the pause containers; if it is not on the node and cannot be pulled, dockbridge imports its own',
  ),
  imagePullProgressDeadline: live(
    option(
      'image-pull-progress-deadline',
      'TIME',
      '1m0s',
      duration,
      'a pull that makes no progress for this long is cancelled, or for ten times as long while it unpacks; 0 never cancels',
    ),
  ),
  registryConfig: live(
    option(
      'registry-config',
      'FILES',
      '',
      anyList,
      "docker config files (config.json), comma-separated, with credentials for pulls that bring none, the sandbox image's among them",
    ),
  ),
  networkPlugin: {
    ...option(
      'network-plugin',
      'NAME',
      'auto',
      text,
      "cni: CNI, and not ready without it; no-op: the Engine's bridge; auto: the bridge until the node has a CNI configuration or plugins, then CNI",
    ),
    fallbackVariable: 'DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN',
  },
  cniConfDir: option(
    'cni-conf-dir',
    'DIR',
    '/etc/cni/net.d',
    text,
    'where CNI configurations are looked for: the first valid one counts, and changes are noticed',
  ),
  cniBinDir: option('cni-bin-dir', 'DIRS', '/opt/cni/bin', list, 'where CNI plugins are, comma-separated'),
  cniCacheDir: option(
    'cni-cache-dir',
    'DIR',
    '/var/lib/cni/cache',
    text,
    "where CNI results are kept until the pod is gone, in libcni's format",
  ),
  cniTimeout: live(
    option(
      'cni-timeout',
      'TIME',
      '2m',
      duration,
      'limit of one run of a CNI plugin, which is killed after that; 0 means 2m',
    ),
  ),
  podCidr: option(
    'pod-cidr',
    'CIDR',
    '',
    text,
    "the node's pod addresses, until kubelet tells them (UpdateRuntimeConfig)",
  ),
  runtimeRequestTimeout: live(
    option(
      'runtime-request-timeout',
      'TIME',
      '1m59s',
      duration,
      'limit of one Engine call; pulls, exec and log streams have none; 0 means 1m59s',
    ),
  ),
  containerLogs: option(
    'container-logs',
    'MODE',
    'cri',
    oneOf('cri', 'link'),
    "cri: dockbridge writes CRI log files; link: symlinks to the Engine's json-file, as cri-dockerd did (docs/logs.md)",
  ),
  containerLogMaxSize: option(
    'container-log-spool-size',
    'SIZE',
    '16m',
    size,
    "size of one file of the Engine's spool that container logs pass through",
  ),
  containerLogMaxFiles: option(
    'container-log-spool-files',
    'N',
    '4',
    integerIn(1, 100),
    'files in that spool: together they bridge an outage of dockbridge',
  ),
  statsSource: option(
    'stats-source',
    'NAME',
    'auto',
    oneOf('auto', 'cgroup', 'engine'),
    'where container and pod stats come from: cgroup files, or the Engine at a far higher price; auto: cgroup files where the Engine is on this machine',
  ),
  logLevel: live(option('log-level', 'LEVEL', 'info', logLevel, 'error, warn, info, debug or trace')),
  streamingBindAddr: option(
    'streaming-bind-addr',
    'ADDR',
    '127.0.0.1:0',
    streamingAddress,
    'where the exec, attach and port-forward server listens; the default host is 127.0.0.1; without a port or with port 0, any free one',
  ),
  streamingTlsCertFile: live(
    option(
      'streaming-tls-cert-file',
      'FILE',
      '',
      text,
      "PEM certificate of that server, with its chain; '' serves plain HTTP, which is fine on loopback",
    ),
  ),
  streamingTlsPrivateKeyFile: live(
    option('streaming-tls-private-key-file', 'FILE', '', text, 'PEM key of that certificate'),
  ),
  metricsAddress: whenObserving(
    'off',
    option(
      'metrics-address',
      'ADDR',
      'run-dir',
      localAddress,
      'where /metrics and /healthz are served: run-dir: on metrics.sock in --run-dir; unix:///path; host:port, where the default host is 127.0.0.1; off',
    ),
  ),
  metricsBindAddr: option(
    'metrics-bind-addr',
    'ADDR',
    '',
    anyBindAddress,
    "a second place for the same pages, for a Prometheus that cannot read sockets: host:port, where the default host is 127.0.0.1; there is neither TLS nor authentication; '' is none",
  ),
  ipv6DualStack: option(
    'ipv6-dual-stack',
    undefined,
    'false',
    flag,
    'report IPv4 and IPv6 of a pod',
    'both are always reported',
  ),
  networkPluginMtu: option(
    'network-plugin-mtu',
    'N',
    '0',
    integerIn(0, 65_536),
    'MTU of kubenet',
    'there is no kubenet',
  ),
  hairpinMode: option('hairpin-mode', 'MODE', 'none', text, 'hairpin of kubenet', 'there is no kubenet'),
  criDockerdRootDirectory: option(
    'cri-dockerd-root-directory',
    'DIR',
    '/var/lib/cri-dockerd',
    text,
    'where cri-dockerd has its checkpoints, in sandbox/: see --sandbox-checkpoints',
  ),
  dockershimRootDirectory: option(
    'dockershim-root-directory',
    'DIR',
    '/var/lib/dockershim',
    text,
    'where dockershim had its checkpoints, in sandbox/: they go away with their pods',
  ),
  sandboxCheckpoints: option(
    'sandbox-checkpoints',
    'MODE',
    'auto',
    oneOf('auto', 'on', 'off'),
    "whether to keep cri-dockerd's checkpoint of each pod, without which it leaves host ports behind after a return to it: auto: where its directory exists; hand-over writes them in any case",
  ),
  runtimeCgroups: option(
    'runtime-cgroups',
    'PATH',
    '',
    text,
    'cgroup to move the Engine into',
    'the service manager of the Engine does this',
  ),
} as const;

/** The option that names the configuration file; a file cannot name it. */
export const CONFIG = {
  name: 'config',
  value: 'FILE',
  help: "configuration file, instead of /etc/dockbridge/config.yaml and /etc/dockbridge/config.d/*.yaml; '' reads none (docs/configuration.md)",
} as const;

/** Parsed values of all options. */
export type Settings = {
  readonly [Key in keyof typeof OPTIONS]: (typeof OPTIONS)[Key] extends Option<infer T> ? T : never;
};

/** `DOCKBRIDGE_LOG_LEVEL` for `log-level`. */
export function environmentName(name: string): string {
  return `DOCKBRIDGE_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** The values that the command line gave, by option name. */
export type Given = Readonly<Partial<Record<string, string>>>;

/** The text of an option, and where it came from. */
export interface Sourced {
  readonly text: string;
  readonly from: 'flag' | 'environment' | 'file' | 'default';
  /** The flag, the variable, or the file with its line and key. */
  readonly place: string;
  /** File and line on their own; only for a value from a file. */
  readonly at?: { readonly file: string; readonly line: number };
}

/** Values that configuration files give, by option name. */
export type FileValues = Readonly<Partial<Record<string, Sourced>>>;

/** The command line wins over the environment, and the environment over files. Undefined where none of them names the option. */
export function givenValue(
  { name }: Pick<Option<unknown>, 'name'>,
  given: Given,
  environment: NodeJS.ProcessEnv,
  files: FileValues,
): Sourced | undefined {
  const fromLine = given[name];
  if (fromLine !== undefined) return { text: fromLine, from: 'flag', place: `--${name}` };
  const variable = environmentName(name);
  const fromEnvironment = environment[variable];
  if (fromEnvironment !== undefined) return { text: fromEnvironment, from: 'environment', place: variable };
  return files[name];
}

export type SettingKey = keyof typeof OPTIONS;

/** The text of every option; where nobody gives one, the default: a wrapper's, or ours. */
export function sourcedOptions(
  given: Given,
  environment: NodeJS.ProcessEnv,
  files: FileValues = {},
): [key: SettingKey, option: Option<unknown>, value: Sourced][] {
  const { observe } = OPTIONS;
  const asked = givenValue(observe, given, environment, files)?.text ?? observe.fallback;
  const observing = /^(t|true|1)$/i.test(asked);
  return (Object.entries(OPTIONS) as [SettingKey, Option<unknown>][]).map(([key, option]) => {
    const said = givenValue(option, given, environment, files);
    return [key, option, said ?? defaultValue(option, environment, observing)];
  });
}

function defaultValue(
  { name, fallback, observing = fallback, fallbackVariable: variable }: Option<unknown>,
  environment: NodeJS.ProcessEnv,
  isObserving: boolean,
): Sourced {
  const ofWrapper = variable === undefined ? undefined : environment[variable];
  if (variable !== undefined && ofWrapper !== undefined)
    return { text: ofWrapper, from: 'default', place: variable };
  return { text: isObserving ? observing : fallback, from: 'default', place: `--${name}` };
}

/**
 * Parses all options. The command line wins over the environment, the environment over files, and files over the default.
 * @throws INVALID_ARGUMENT naming the option and where its value came from.
 */
export function resolveSettings(
  given: Given,
  environment: NodeJS.ProcessEnv,
  files: FileValues = {},
): Settings {
  const entries = sourcedOptions(given, environment, files).map(([key, { parse }, { text, place }]) => [
    key,
    parse(text, place),
  ]);
  return Object.fromEntries(entries) as Settings;
}

/** Options that were given but change nothing, with the reason. */
export function ignoredOptions(
  given: Given,
  environment: NodeJS.ProcessEnv,
  files: FileValues = {},
): { name: string; why: string }[] {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  return all.flatMap((option) => {
    const isGiven = givenValue(option, given, environment, files) !== undefined;
    return isGiven && option.ignored !== undefined ? [{ name: option.name, why: option.ignored }] : [];
  });
}
