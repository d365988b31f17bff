import { failedPrecondition } from '../../lib/errors';
import { isObject, type JsonObject, parseObject, text } from '../../lib/json';

/** The CNI versions that dockbridge supports in configurations and results, oldest first. */
export const CNI_VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof CNI_VERSIONS)[number];

/** The version of a configuration or result that names no version. */
export const UNNAMED_VERSION: CniVersion = '0.1.0';
export const NEWEST_VERSION: CniVersion = '1.1.0';

export function isKnownVersion(version: string): version is CniVersion {
  return (CNI_VERSIONS as readonly string[]).includes(version);
}

export function isAtLeast(version: CniVersion, floor: CniVersion): boolean {
  return CNI_VERSIONS.indexOf(version) >= CNI_VERSIONS.indexOf(floor);
}

/** One plugin of a network, as configured. */
export interface PluginConfig {
  /** The name of the plugin's binary. */
  readonly type: string;
  /** The enabled capabilities. The plugin expects their arguments in `runtimeConfig`. */
  readonly capabilities: readonly string[];
  readonly body: JsonObject;
}

/** A network configuration list: the plugins that together make one network. */
export interface NetworkConfig {
  readonly name: string;
  readonly cniVersion: CniVersion;
  readonly disableCheck: boolean;
  readonly disableGc: boolean;
  readonly plugins: readonly PluginConfig[];
  /** The list as JSON text, which the result cache keeps for the DEL. */
  readonly json: string;
}

const NETWORK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Parses the text of a `.conflist`.
 * @param inSubdirectory plugins that have files of their own, which CNI 1.1 allows. They are appended to the list.
 * @throws FAILED_PRECONDITION saying what is wrong, without the file's name.
 */
export function parseNetworkList(json: string, inSubdirectory: readonly JsonObject[] = []): NetworkConfig {
  const list = parseJson(json);
  if (list.plugins !== undefined && !Array.isArray(list.plugins)) throw broken('"plugins" is not a list');
  const inline = (list.plugins ?? []) as readonly unknown[];
  const whole = inSubdirectory.length === 0 ? list : { ...list, plugins: [...inline, ...inSubdirectory] };
  const plugins = [...inline, ...inSubdirectory].map((plugin, index) =>
    toPlugin(plugin, `plugins[${index}]`),
  );
  if (plugins.length === 0) throw broken('"plugins" is empty');
  return {
    name: toName(list.name),
    cniVersion: toVersion(list),
    disableCheck: toSwitch(list.disableCheck, 'disableCheck'),
    disableGc: toSwitch(list.disableGC, 'disableGC'),
    plugins,
    json: inSubdirectory.length === 0 ? json : JSON.stringify(whole),
  };
}

/** Parses the text of a `.conf` or `.json` file, which contains one plugin, as a list with that plugin. */
export function parseSinglePlugin(json: string): NetworkConfig {
  const plugin = parseJson(json);
  if (plugin.plugins !== undefined) throw broken('has "plugins", so its name must end in .conflist');
  const { name, cniVersion } = plugin;
  return parseNetworkList(
    JSON.stringify({ name, ...(cniVersion === undefined ? {} : { cniVersion }), plugins: [plugin] }),
  );
}

/** Parses a configuration from a result cache. It is a list or, for pods of kubenet, a single plugin. */
export function parseCachedConfig(json: string): NetworkConfig {
  return parseObject(json)?.plugins === undefined ? parseSinglePlugin(json) : parseNetworkList(json);
}

/** Whether any plugin of the network declares the capability. */
export function wantsCapability(config: NetworkConfig, capability: string): boolean {
  return config.plugins.some(({ capabilities }) => capabilities.includes(capability));
}

function parseJson(json: string): JsonObject {
  const object = parseObject(json);
  if (object === undefined) throw broken('is not a JSON object');
  return object;
}

function toName(name: unknown): string {
  if (typeof name !== 'string' || name === '') throw broken('has no "name"');
  if (!NETWORK_NAME.test(name)) throw broken(`"name": ${JSON.stringify(name)} is not a network name`);
  return name;
}

/** Chooses the newest version that dockbridge supports. `cniVersions` (CNI 1.1) may offer several. */
function toVersion({ cniVersion, cniVersions }: JsonObject): CniVersion {
  const offered = Array.isArray(cniVersions) ? cniVersions.map(text) : [];
  if (text(cniVersion) !== '') offered.push(text(cniVersion));
  if (offered.length === 0) return UNNAMED_VERSION;
  const known = CNI_VERSIONS.filter((version) => offered.includes(version)).at(-1);
  if (known !== undefined && isKnownVersion(known)) return known;
  throw broken(
    `CNI version ${offered.join(', ')} is not known; this runtime supports ${CNI_VERSIONS[0]} to ${CNI_VERSIONS.at(-1) ?? ''}`,
  );
}

/** Reads a boolean. Some writers put it in quotes. */
function toSwitch(value: unknown, key: string): boolean {
  if (value === undefined || value === false || value === 'false') return false;
  if (value === true || value === 'true') return true;
  throw broken(`"${key}" is neither true nor false`);
}

function toPlugin(plugin: unknown, at: string): PluginConfig {
  if (!isObject(plugin)) throw broken(`${at} is not an object`);
  const type = text(plugin.type);
  if (type === '') throw broken(`${at} has no "type"`);
  if (type.includes('/') || type === '.' || type === '..')
    throw broken(`${at}: "type" ${JSON.stringify(type)} is a path, not a name`);
  const capabilities = plugin.capabilities ?? {};
  if (!isObject(capabilities)) throw broken(`${at}: "capabilities" is not an object`);
  return {
    type,
    capabilities: Object.keys(capabilities).filter((key) => capabilities[key] === true),
    body: plugin,
  };
}

function broken(why: string): Error {
  return failedPrecondition(why);
}
