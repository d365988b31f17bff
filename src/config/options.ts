import {
  anyBindAddress,
  anyList,
  bindAddress,
  duration,
  flag,
  integerIn,
  list,
  localAddress,
  logLevel,
  oneOf,
  size,
  text,
  type Parse,
} from './parsers';

/**
 * One option: drives the command line, the environment (`DOCKBRIDGE_` and the name in capitals), `--help` and
 * docs/options.md. All of cri-dockerd's flags are here under their names, so that units can be taken over as they are.
 */
export interface Option<T> {
  /** Without the dashes. */
  readonly name: string;
  /** Shown in help; undefined for a switch. */
  readonly value: string | undefined;
  readonly fallback: string;
  /** Default of `--observe`, where that must be another. */
  readonly observing?: string;
  readonly parse: Parse<T>;
  readonly help: string;
  /** Why it changes nothing here: accepted for cri-dockerd's sake, and said so once when it is given. */
  readonly ignored?: string;
}

const option = <T>(
  name: string,
  value: string | undefined,
  fallback: string,
  parse: Parse<T>,
  help: string,
  ignored?: string,
): Option<T> => ({ name, value, fallback, parse, help, ...(ignored === undefined ? {} : { ignored }) });

/** With a default of its own under `--observe`. */
const whenObserving = <T>(observing: string, given: Option<T>): Option<T> => ({
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
    'what must outlive a restart: positions in container logs',
  ),
  runDir: option(
    'run-dir',
    'DIR',
    '/run/dockbridge',
    text,
    'what a boot may clear away: sockets for metrics and hand-over; each dockbridge of a node needs its own',
  ),
  podInfraContainerImage: option(
    'pod-infra-container-image',
    'IMAGE',
    'registry.k8s.io/pause:3.10',
    text,
    'image of the pause containers; when it is neither on the node nor can be pulled, dockbridge imports its own',
  ),
  imagePullProgressDeadline: option(
    'image-pull-progress-deadline',
    'TIME',
    '1m0s',
    duration,
    'a pull in which no byte and no status moves for this long is cancelled, unpacking after ten times as long; 0 is never',
  ),
  registryConfig: option(
    'registry-config',
    'FILES',
    '',
    anyList,
    "docker config files (config.json), comma-separated, with credentials for pulls that bring none, the sandbox image's among them",
  ),
  networkPlugin: option(
    'network-plugin',
    'NAME',
    'auto',
    text,
    "cni: CNI, and not ready without it; no-op: the Engine's bridge; auto: the bridge until the node has a CNI configuration or plugins, then CNI",
  ),
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
  cniTimeout: option(
    'cni-timeout',
    'TIME',
    '2m',
    duration,
    'limit of one run of a CNI plugin; one that takes longer is killed; 0 is 2m',
  ),
  podCidr: option(
    'pod-cidr',
    'CIDR',
    '',
    text,
    "the node's pod addresses, until kubelet tells them (UpdateRuntimeConfig)",
  ),
  runtimeRequestTimeout: option(
    'runtime-request-timeout',
    'TIME',
    '1m59s',
    duration,
    'limit of one Engine call; pulls, exec and log streams have none; 0 is 1m59s',
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
  logLevel: option('log-level', 'LEVEL', 'info', logLevel, 'error, warn, info, debug or trace'),
  streamingBindAddr: option(
    'streaming-bind-addr',
    'ADDR',
    '127.0.0.1:0',
    bindAddress,
    'where the exec, attach and port-forward server listens; no host is 127.0.0.1, port 0 any free one',
  ),
  streamingTlsCertFile: option(
    'streaming-tls-cert-file',
    'FILE',
    '',
    text,
    "PEM certificate of that server, with its chain; '' serves plain HTTP, which is fine on loopback",
  ),
  streamingTlsPrivateKeyFile: option(
    'streaming-tls-private-key-file',
    'FILE',
    '',
    text,
    'PEM key of that certificate',
  ),
  metricsAddress: whenObserving(
    'off',
    option(
      'metrics-address',
      'ADDR',
      'run-dir',
      localAddress,
      'where /metrics and /healthz are served: run-dir: on metrics.sock in --run-dir; unix:///path; host:port, where no host is 127.0.0.1; off',
    ),
  ),
  metricsBindAddr: option(
    'metrics-bind-addr',
    'ADDR',
    '',
    anyBindAddress,
    "a second place for the same pages, for a Prometheus that cannot read sockets: host:port, where no host is 127.0.0.1; there is neither TLS nor authentication; '' is none",
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
    "that is the Engine's service manager's business",
  ),
} as const;

/** Parsed values of all options. */
export type Settings = {
  readonly [Key in keyof typeof OPTIONS]: (typeof OPTIONS)[Key] extends Option<infer T> ? T : never;
};

/** `DOCKBRIDGE_LOG_LEVEL` for `log-level`. */
export function environmentName(name: string): string {
  return `DOCKBRIDGE_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** Values as given on the command line, by option name. */
export type Given = Readonly<Partial<Record<string, string>>>;

/**
 * Command line before environment before default.
 * @throws INVALID_ARGUMENT naming the option and, where it came from there, its variable.
 */
export function resolveSettings(given: Given, environment: NodeJS.ProcessEnv): Settings {
  const valueOf = <T>({ name, parse }: Option<T>, fallback: string): T => {
    const variable = environmentName(name);
    const fromLine = given[name];
    const fromEnvironment = environment[variable];
    const source = fromLine === undefined && fromEnvironment !== undefined ? variable : `--${name}`;
    return parse(fromLine ?? fromEnvironment ?? fallback, source);
  };
  const observes = valueOf(OPTIONS.observe, OPTIONS.observe.fallback);
  const entries = Object.entries<Option<unknown>>(OPTIONS).map(([key, option]) => {
    const { fallback, observing = fallback } = option;
    return [key, valueOf(option, observes ? observing : fallback)];
  });
  return Object.fromEntries(entries) as Settings;
}

/** Options that were given but change nothing, with the reason. */
export function ignoredOptions(
  given: Given,
  environment: NodeJS.ProcessEnv,
): { name: string; why: string }[] {
  const all: Option<unknown>[] = Object.values(OPTIONS);
  return all.flatMap(({ name, ignored }) => {
    const isGiven = given[name] !== undefined || environment[environmentName(name)] !== undefined;
    return isGiven && ignored !== undefined ? [{ name, why: ignored }] : [];
  });
}
