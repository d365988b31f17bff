import { messageOf } from '../../lib/errors';
import { listDirectory } from '../../node/disk/files';
import { findConfig, type FoundConfig } from '../../network/cni/node-network';
import { wantsCapability, type NetworkConfig, type PluginConfig } from '../../network/cni/network-config';
import { PluginChain } from '../../network/cni/plugin-chain';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

/** The facts about CNI on this node. They are determined without running a plugin. */
export interface CniFacts {
  /** `--network-plugin`. */
  readonly choice: string;
  readonly confDir: string;
  readonly binDirs: readonly string[];
  readonly found: FoundConfig;
  /** Whether any plugin is installed. */
  readonly hasPlugins: boolean;
  readonly missing: readonly MissingPlugin[];
}

/** A plugin of the configuration that is missing or cannot be executed. */
export interface MissingPlugin {
  readonly type: string;
  /** A sentence that reports the plugin as missing. */
  readonly text: string;
  /** Whether the plugin is in Debian's directory, which dockbridge was not told to search. */
  readonly isInDebians: boolean;
}

/** The directory in which Debian's package containernetworking-plugins installs its plugins. */
const DEBIANS = '/usr/lib/cni';

/** Checks whether pods get a network. */
export const cni: Check = {
  id: 'cni',
  run: async ({ settings: { networkPlugin: choice, cniConfDir: confDir, cniBinDir: binDirs } }) => {
    const found = await findConfig(confDir);
    const plugins = await Promise.all(binDirs.map(listDirectory));
    const missing = found.config === undefined ? [] : await missingPlugins(found.config, binDirs);
    const hasPlugins = plugins.flat().length > 0;
    return judgeCni({ choice, confDir, binDirs, found, hasPlugins, missing });
  },
};

/**
 * Finds the plugins that are in none of the directories.
 * @param debians the directory of Debian's plugins; tests replace it.
 */
export async function missingPlugins(
  config: NetworkConfig,
  binDirs: readonly string[],
  debians = DEBIANS,
): Promise<MissingPlugin[]> {
  const missing: MissingPlugin[] = [];
  for (const type of new Set(config.plugins.flatMap(typesOf))) {
    const alone = { ...config, plugins: [{ type, capabilities: [], body: {} }] };
    const search = async (directories: readonly string[]): Promise<string> => {
      const chain = new PluginChain(directories, 0);
      return chain.findAll(alone).then(() => '', messageOf);
    };
    const text = await search(binDirs);
    if (text !== '') missing.push({ type, text, isInDebians: (await search([debians])) === '' });
  }
  return missing;
}

/** Returns the plugin's name and the name of its IPAM plugin, which the plugin itself calls. */
function typesOf({ type, body: { ipam } }: PluginConfig): string[] {
  const own = typeof ipam === 'object' && ipam !== null && 'type' in ipam ? ipam.type : undefined;
  return typeof own === 'string' && own !== '' ? [type, own] : [type];
}

export function judgeCni(facts: CniFacts): readonly Finding[] {
  const { choice, confDir, binDirs, found, hasPlugins, missing } = facts;
  const { config, file, problems } = found;
  if (choice === 'no-op' || choice === '')
    return [ok("pods are on the Engine's bridge (--network-plugin=no-op)")];
  const install = `Install the cluster's network (such as Calico, Cilium or Flannel), which puts a configuration into ${confDir}.`;
  if (config === undefined && problems.length > 0)
    return [
      fail(`no valid CNI configuration: ${problems.join('; ')}`, `Fix or replace the file. ${install}`),
    ];
  if (config === undefined && (choice === 'cni' || hasPlugins))
    return [fail(`there is no CNI configuration in ${confDir}: pods get no network`, install)];
  if (config === undefined)
    return [
      warn(
        `there is no CNI here: pods are on the Engine's bridge, where pods on other nodes cannot reach them`,
        `${install} On a single-node cluster, set --network-plugin=no-op.`,
      ),
    ];
  const elsewhere = missing.filter(({ isInDebians }) => isInDebians);
  const absent = missing.filter(({ isInDebians }) => !isInDebians);
  const findings = [
    ...(elsewhere.length === 0 ? [] : [judgeElsewhere(elsewhere, binDirs)]),
    ...absent.map(({ text }) =>
      fail(
        text,
        `Put the plugin into ${binDirs.join(' or ')} as an executable file (0755). Debian's package containernetworking-plugins installs plugins in ${DEBIANS}.`,
      ),
    ),
    ...problems.map((problem) =>
      warn(`file ignored: ${problem}`, `${file} is used instead. Fix or remove the ignored file.`),
    ),
  ];
  if (!wantsCapability(config, 'portMappings'))
    findings.push(
      warn(
        `no plugin of network "${config.name}" has the capability "portMappings": host ports of pods will not work`,
        `Add the portmap plugin to ${file}, unless something else on the node provides host ports (as Cilium does).`,
      ),
    );
  if (findings.length > 0) return findings;
  const types = config.plugins.map(({ type }) => type).join(', ');
  return [ok(`network "${config.name}" (CNI ${config.cniVersion}) of ${file}: ${types}`)];
}

/** Makes one finding for all plugins of Debian's package, because a single option makes dockbridge find them all. */
function judgeElsewhere(plugins: readonly MissingPlugin[], binDirs: readonly string[]): Finding {
  const names = plugins.map(({ type }) => `"${type}"`).join(', ');
  const [are, they] =
    plugins.length === 1 ? [`plugin ${names} is`, 'it is'] : [`plugins ${names} are`, 'they are'];
  return fail(
    `CNI ${are} not in ${binDirs.join(', ')} (--cni-bin-dir); ${they} in ${DEBIANS}`,
    `Set cni-bin-dir: [${[...binDirs, DEBIANS].join(', ')}] in /etc/dockbridge/config.yaml, and restart dockbridge.`,
  );
}
