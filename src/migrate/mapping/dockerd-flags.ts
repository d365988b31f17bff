/** A flag of dockerd, as the setting of daemon.json that has the same effect. */
export interface FlagSetting {
  readonly path: readonly string[];
  readonly value: unknown;
  /** The flag without its value, such as `--registry-mirror`. */
  readonly flag: string;
}

const SHORT: Readonly<Record<string, string>> = {
  D: 'debug',
  G: 'group',
  H: 'host',
  b: 'bridge',
  l: 'log-level',
  p: 'pidfile',
  s: 'storage-driver',
};

/** Flags that may be repeated, and the keys that daemon.json has for their lists (daemon/command/config.go). */
const LISTS: Readonly<Record<string, string>> = {
  'allow-nondistributable-artifacts': 'allow-nondistributable-artifacts',
  'authorization-plugin': 'authorization-plugins',
  'cdi-spec-dir': 'cdi-spec-dirs',
  'default-address-pool': 'default-address-pools',
  dns: 'dns',
  'dns-opt': 'dns-opts',
  'dns-search': 'dns-search',
  'exec-opt': 'exec-opts',
  host: 'hosts',
  'host-gateway-ip': 'host-gateway-ips',
  'insecure-registry': 'insecure-registries',
  label: 'labels',
  'node-generic-resource': 'node-generic-resources',
  'registry-mirror': 'registry-mirrors',
  'storage-opt': 'storage-opts',
};

/** Flags with a NAME=VALUE, and the map of daemon.json into which the pair goes. */
const MAPS: Readonly<Record<string, (name: string, value: string) => { path: string[]; value: unknown }>> = {
  'add-runtime': (name, value) => ({
    path: ['runtimes', name, value.includes('/') ? 'path' : 'runtimeType'],
    value,
  }),
  'default-network-opt': (driver, pair) => {
    const [name, value] = split(pair);
    return { path: ['default-network-opts', driver, name], value };
  },
  'default-ulimit': (name, value) => {
    const [soft = '', hard = soft] = value.split(':');
    return { path: ['default-ulimits', name], value: { Name: name, Soft: Number(soft), Hard: Number(hard) } };
  },
  feature: (name, value) => ({ path: ['features', name], value: value !== 'false' }),
  'log-opt': (name, value) => ({ path: ['log-opts', name], value }),
};

const PROXIES: readonly string[] = ['http-proxy', 'https-proxy', 'no-proxy'];

const BOOLEANS: readonly string[] = [
  'allow-direct-routing',
  'cri-containerd',
  'debug',
  'experimental',
  'icc',
  'init',
  'ip-forward',
  'ip-forward-no-drop',
  'ip-masq',
  'ip6tables',
  'iptables',
  'ipv6',
  'live-restore',
  'no-new-privileges',
  'raw-logs',
  'rootless',
  'selinux-enabled',
  'tls',
  'tlsverify',
  'userland-proxy',
  'validate',
];

/** Flags that tell dockerd how to start, and that are not settings. */
const NO_SETTINGS: readonly string[] = ['config-file', 'help', 'validate', 'version'];

/** Reads dockerd's arguments as settings of daemon.json. Returns an unknown flag under its own name. */
export function dockerdFlags(args: readonly string[]): FlagSetting[] {
  const found: FlagSetting[] = [];
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    if (!argument.startsWith('-') || argument === '-') continue;
    const [written, given] = split(argument, false);
    const isShort = !written.startsWith('--');
    const name = isShort ? (SHORT[written.slice(1, 2)] ?? written.slice(1)) : written.slice(2);
    const glued =
      isShort && written.length > 2 && SHORT[written.slice(1, 2)] !== undefined ? argument.slice(2) : given;
    const value = glued ?? (BOOLEANS.includes(name) ? 'true' : (args[++at] ?? ''));
    if (!NO_SETTINGS.includes(name)) found.push({ ...settingOf(name, value), flag: `--${name}` });
  }
  return joinLists(found);
}

function settingOf(name: string, value: string): { path: string[]; value: unknown } {
  const list = LISTS[name];
  if (list !== undefined) return { path: [list], value: [value] };
  const map = MAPS[name];
  if (map !== undefined) return map(...split(value));
  if (PROXIES.includes(name)) return { path: ['proxies', name], value };
  if (BOOLEANS.includes(name)) return { path: [name], value: value !== 'false' };
  return { path: [name], value: /^\d+$/.test(value) ? Number(value) : value };
}

function split(text: string): [string, string];
function split(text: string, always: false): [string, string | undefined];
function split(text: string, always = true): [string, string | undefined] {
  const at = text.indexOf('=');
  return at === -1 ? [text, always ? '' : undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** Joins the values of a repeated flag, so that one setting has them all. */
function joinLists(settings: readonly FlagSetting[]): FlagSetting[] {
  const joined = new Map<string, FlagSetting>();
  for (const setting of settings) {
    const key = setting.path.join('\0');
    const before = joined.get(key);
    joined.set(
      key,
      Array.isArray(before?.value) && Array.isArray(setting.value)
        ? { ...setting, value: [...(before.value as unknown[]), ...(setting.value as unknown[])] }
        : setting,
    );
  }
  return [...joined.values()];
}
