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
 * One option. It appears on the command line, in the environment (`DOCKBRIDGE_` and the name in capitals), in the configuration
 * file (under its name), in `--help` and in docs/options.md. All flags of cri-dockerd are in this table under their own names,
 * so that systemd units for cri-dockerd work unchanged.
 */
export interface Option<T> {
  /** The name without the leading dashes. */
  readonly name: string;
  /** The placeholder of the value, shown in help; undefined for a switch. */
  readonly value: string | undefined;
  readonly fallback: string;
  /** The default under `--observe`, if it differs from the usual default. */
  readonly observing?: string;
  /** The variable with which a wrapper passes a default of its own (packaging/cri-dockerd/cri-dockerd.sh). */
  readonly fallbackVariable?: string;
  readonly parse: Parse<T>;
  readonly help: string;
  /** Whether SIGHUP suffices to apply a new value from the files, or a restart is needed. */
  readonly reload: 'live' | 'restart';
  /** Why this option of cri-dockerd has no effect. It is accepted, and dockbridge logs once that it has no effect. */
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

/** Marks a setting as live: code reads it again each time it is needed (src/config/live-settings.ts). */
const live = <T>(given: Option<T>): Option<T> & { reload: 'live' } => ({ ...given, reload: 'live' });

/** Gives an option another default under `--observe`. */
const whenObserving = <T>(
  observing: string,
  given: Option<T> & { reload: 'restart' },
): Option<T> & { reload: 'restart' } => ({
  ...given,
  observing,
  help: `${given.help}; with --observe, the default is ${observing}`,
});

export const OPTIONS = {
  observe: option(
    'observe',
    undefined,
    'false',
    flag,
    'only observe, alongside the runtime that serves this node: answer lists, statuses and stats, and change nothing (docs/switching.md)',
  ),
  endpoint: whenObserving(
    'unix:///run/dockbridge-observe.sock',
    option(
      'container-runtime-endpoint',
      'URL',
      'unix:///var/run/cri-dockerd.sock',
      text,
      "socket to which kubelet and crictl connect: unix:///path, or fd:// for a socket from systemd; the default is cri-dockerd's socket; crictl finds it if /etc/crictl.yaml names it",
    ),
  ),
  dockerEndpoint: option(
    'docker-endpoint',
    'URL',
    'unix:///var/run/docker.sock',
    text,
    "address of the Docker Engine: unix:///path or tcp://host:port; '' means to use DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
  ),
  stateDir: option(
    'state-dir',
    'DIR',
    '/var/lib/dockbridge',
    text,
    'directory for data that must survive a reboot, such as the positions in container logs',
  ),
  runDir: option(
    'run-dir',
    'DIR',
    '/run/dockbridge',
    text,
    'directory for data that may be lost at a reboot, such as the sockets for metrics and hand-over; each dockbridge on a node needs its own',
  ),
  podInfraContainerImage: option(
    'pod-infra-container-image',
    'IMAGE',
    'registry.k8s.io/pause:3.10',
    text,
    'image of the pause containers; if it is not on the node and cannot be pulled, dockbridge imports its own pause image',
  ),
  imagePullProgressDeadline: live(
    option(
      'image-pull-progress-deadline',
      'TIME',
      '1m0s',
      duration,
      'time without progress after which a pull is cancelled; ten times as long while the pull unpacks; 0 means never',
    ),
  ),
  registryConfig: live(
    option(
      'registry-config',
      'FILES',
      '',
      anyList,
      'docker config files (config.json), comma-separated, with credentials for pulls whose request has none, such as the pull of the sandbox image',
    ),
  ),
  networkPlugin: {
    ...option(
      'network-plugin',
      'NAME',
      'auto',
      text,
      "network of the pods; cni: always CNI, and the node is not ready without it; no-op: the Engine's bridge; auto: the bridge until the node has a CNI configuration or plugins, then CNI",
    ),
    fallbackVariable: 'DOCKBRIDGE_DEFAULT_NETWORK_PLUGIN',
  },
  cniConfDir: option(
    'cni-conf-dir',
    'DIR',
    '/etc/cni/net.d',
    text,
    'directory of CNI configurations; the first valid configuration is used, and changes are noticed',
  ),
  cniBinDir: option('cni-bin-dir', 'DIRS', '/opt/cni/bin', list, 'CNI plugin directories, comma-separated'),
  cniCacheDir: option(
    'cni-cache-dir',
    'DIR',
    '/var/lib/cni/cache',
    text,
    "directory that keeps CNI results until their pods are gone, in libcni's format",
  ),
  cniTimeout: live(
    option(
      'cni-timeout',
      'TIME',
      '2m',
      duration,
      'time limit of one run of a CNI plugin, which is then killed; 0 means 2m',
    ),
  ),
  podCidr: option(
    'pod-cidr',
    'CIDR',
    '',
    text,
    "range of the node's pod addresses, until kubelet sends it (UpdateRuntimeConfig)",
  ),
  runtimeRequestTimeout: live(
    option(
      'runtime-request-timeout',
      'TIME',
      '1m59s',
      duration,
      'time limit of one Engine call, except for pulls, exec and log streams; 0 means 1m59s',
    ),
  ),
  containerLogs: option(
    'container-logs',
    'MODE',
    'cri',
    oneOf('cri', 'link'),
    "cri: dockbridge writes CRI log files; link: dockbridge makes symlinks to the Engine's json-files, as cri-dockerd does (docs/logs.md)",
  ),
  containerLogMaxSize: option(
    'container-log-spool-size',
    'SIZE',
    '16m',
    size,
    "maximum size of one file of a container's spool, to which the Engine writes the output that dockbridge copies",
  ),
  containerLogMaxFiles: option(
    'container-log-spool-files',
    'N',
    '4',
    integerIn(1, 100),
    "number of files in a container's spool; together they must hold the output of an outage of dockbridge",
  ),
  statsSource: option(
    'stats-source',
    'NAME',
    'auto',
    oneOf('auto', 'cgroup', 'engine'),
    'source of container and pod stats: cgroup files, or the Engine, which costs much more; auto: cgroup files if the Engine is on this machine',
  ),
  logLevel: live(option('log-level', 'LEVEL', 'info', logLevel, 'error, warn, info, debug or trace')),
  streamingBindAddr: option(
    'streaming-bind-addr',
    'ADDR',
    '127.0.0.1:0',
    streamingAddress,
    'address on which the server for exec, attach and port-forward listens; the default host is 127.0.0.1; without a port or with port 0, any free port',
  ),
  streamingTlsCertFile: live(
    option(
      'streaming-tls-cert-file',
      'FILE',
      '',
      text,
      "PEM file with the certificate of the server for exec, attach and port-forward, and its chain; '' means plain HTTP, which is safe on loopback",
    ),
  ),
  streamingTlsPrivateKeyFile: live(
    option('streaming-tls-private-key-file', 'FILE', '', text, 'PEM file with the key of that certificate'),
  ),
  metricsAddress: whenObserving(
    'off',
    option(
      'metrics-address',
      'ADDR',
      'run-dir',
      localAddress,
      'address of /metrics and /healthz: run-dir, which means metrics.sock in --run-dir; unix:///path; host:port, where the default host is 127.0.0.1; or off',
    ),
  ),
  metricsBindAddr: option(
    'metrics-bind-addr',
    'ADDR',
    '',
    anyBindAddress,
    "second address of the same pages, for a Prometheus that cannot read sockets: host:port, where the default host is 127.0.0.1; it has neither TLS nor authentication; '' means none",
  ),
  ipv6DualStack: option(
    'ipv6-dual-stack',
    undefined,
    'false',
    flag,
    'report the IPv4 and IPv6 addresses of a pod',
    'both are always reported',
  ),
  networkPluginMtu: option(
    'network-plugin-mtu',
    'N',
    '0',
    integerIn(0, 65_536),
    "MTU of kubenet's networks",
    'dockbridge has no kubenet',
  ),
  hairpinMode: option('hairpin-mode', 'MODE', 'none', text, 'hairpin in kubenet', 'there is no kubenet'),
  criDockerdRootDirectory: option(
    'cri-dockerd-root-directory',
    'DIR',
    '/var/lib/cri-dockerd',
    text,
    "cri-dockerd's root directory, with its checkpoints in sandbox/; see --sandbox-checkpoints",
  ),
  dockershimRootDirectory: option(
    'dockershim-root-directory',
    'DIR',
    '/var/lib/dockershim',
    text,
    "dockershim's root directory, with its checkpoints in sandbox/; each is removed with its pod",
  ),
  sandboxCheckpoints: option(
    'sandbox-checkpoints',
    'MODE',
    'auto',
    oneOf('auto', 'on', 'off'),
    "whether to write cri-dockerd's checkpoint of each pod; after a return to cri-dockerd, the host ports of pods without a checkpoint remain; auto: if cri-dockerd's directory exists; hand-over writes checkpoints in any case",
  ),
  runtimeCgroups: option(
    'runtime-cgroups',
    'PATH',
    '',
    text,
    'cgroup to move the Engine into',
    'the service manager does this for the Engine',
  ),
} as const;

/** The option that names the configuration file. A file cannot contain it. */
export const CONFIG = {
  name: 'config',
  value: 'FILE',
  help: "configuration file to read instead of /etc/dockbridge/config.yaml and /etc/dockbridge/config.d/*.yaml; '' means to read none (docs/configuration.md)",
} as const;

/** The parsed values of all options. */
export type Settings = {
  readonly [Key in keyof typeof OPTIONS]: (typeof OPTIONS)[Key] extends Option<infer T> ? T : never;
};

/** Returns the name of an option's environment variable, such as `DOCKBRIDGE_LOG_LEVEL` for `log-level`. */
export function environmentName(name: string): string {
  return `DOCKBRIDGE_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** The values that the command line gave, by option name. */
export type Given = Readonly<Partial<Record<string, string>>>;

/** The text of an option, and its source. */
export interface Sourced {
  readonly text: string;
  readonly from: 'flag' | 'environment' | 'file' | 'default';
  /** The flag, the variable, or the file with line and key. */
  readonly place: string;
  /** File and line separately; only for a value from a file. */
  readonly at?: { readonly file: string; readonly line: number };
}

/** Values that configuration files give, by option name. */
export type FileValues = Readonly<Partial<Record<string, Sourced>>>;

/** Returns a value from the command line, else from the environment, else from files; undefined if none sets the option. */
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

/** Returns the text of every option. For an option that nobody sets, it is the wrapper's default or ours. */
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
 * Parses all options. The command line overrides the environment, the environment overrides files, and files override the
 * default.
 * @throws INVALID_ARGUMENT naming the option and the source of its value.
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

/** Lists the options that were set but have no effect, with the reason. */
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
