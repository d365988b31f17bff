import { parse, stringify, type TomlTable } from 'smol-toml';
import { isObject, text as textOf, type JsonObject } from '../../lib/json';
import { importedPaths } from '../containerd-imports';
import { targetFile, type PlannedFile } from './node-file';
import { CERTS_D } from './registries';

export const MAIN = '/etc/containerd/config.toml';
export const DROP_IN = '/etc/containerd/conf.d/10-from-docker.toml';
/** A file of its own, which comes when dockerd has given its port free: containerd does not start without the port. */
export const METRICS = '/etc/containerd/conf.d/20-metrics-from-docker.toml';
/** Matches both files, whether the second one is there yet or not. */
export const DROP_INS = '/etc/containerd/conf.d/*-from-docker.toml';

export const IMAGES = 'io.containerd.cri.v1.images';
export const RUNTIME = 'io.containerd.cri.v1.runtime';
/** The CRI plugin of configuration version 2, which version 3 split in two. */
export const CRI_V2 = 'io.containerd.grpc.v1.cri';

/** An existing configuration that the plan cannot extend. Its message tells what to do. */
export class UnusableConfig extends Error {}

/** The configuration that containerd has on the node. */
export interface PresentConfig {
  /** The file with which containerd starts. */
  readonly mainPath: string;
  /** Its text; undefined when there is no such file. */
  readonly mainConfig?: string;
  /** The texts of other files that it may import, by path. */
  readonly importable?: Readonly<Record<string, string>>;
}

export interface MainFile {
  readonly file: PlannedFile;
  /** The version that the drop-in must have. */
  readonly version: 2 | 3;
  readonly hasRoot: boolean;
  /** The directories in which it looks for registries; '' when it names none. */
  readonly registryPath: string;
  /** Its `bin_dir` for CNI plugins; '' when it has none. */
  readonly binDir: string;
  readonly hasBinDirs: boolean;
  /** The directory of CNI configurations, and the file that names it; undefined when none does. */
  readonly confDir?: { readonly path: string; readonly value: string };
  /** What containerd reads now, in its order, with the paths of the files. */
  readonly present: readonly ReadFile[];
}

export interface ReadFile {
  readonly path: string;
  readonly config: TomlTable;
}

/** Returns the main file, which imports the drop-in. Throws UnusableConfig. */
export function mainFile(node: PresentConfig, origin: string, imported: string): MainFile {
  const { mainPath: path, mainConfig: before } = node;
  if (before === undefined) return freshFile(targetFile(path, origin, fresh([], imported)));
  const old = parsed(path, before);
  if (isStub(old)) {
    const file = targetFile(path, origin, fresh(stillDisabled(old), imported));
    return freshFile({ ...file, before });
  }
  const version = old.version;
  if (version !== 2 && version !== 3 && version !== 4)
    throw new UnusableConfig(
      `${path} has configuration version ${typeof version === 'number' ? version : 1}, which containerd 2 migrates but the plan cannot extend. ` +
        'Run `containerd config migrate`, put its output in the place of the file, and plan again.',
    );
  const present = [{ path, config: old }, ...importedFiles(node, old)];
  for (const one of present) refuseOldRegistries(one.path, one.config);
  const cni = present.map(({ config }) => cniOf(config));
  const last = (key: string): string => cni.map((one) => textOf(one[key])).findLast(isSet) ?? '';
  const confDir = present
    .map((one) => ({ path: one.path, value: textOf(cniOf(one.config).conf_dir) }))
    .findLast(({ value }) => isSet(value));
  return {
    file: {
      path,
      text: importing(before, old, imported),
      mode: 0o644,
      before,
      step: 'write-target',
    },
    version: version === 2 ? 2 : 3,
    hasRoot: present.some(({ config }) => typeof config.root === 'string'),
    registryPath: present.map(({ config }) => textOf(registryOf(config).config_path)).findLast(isSet) ?? '',
    binDir: last('bin_dir'),
    hasBinDirs: cni.some((one) => strings(one.bin_dirs).length > 0),
    ...(confDir === undefined ? {} : { confDir }),
    present,
  };
}

function freshFile(file: PlannedFile): MainFile {
  return {
    ...{ file, version: 3, hasRoot: false, registryPath: '', binDir: '', hasBinDirs: false },
    present: [],
  };
}

function fresh(disabled: readonly string[], imported: string): string {
  return stringify({
    version: 3,
    ...(disabled.length === 0 ? {} : { disabled_plugins: disabled }),
    imports: [imported],
  });
}

function isSet(value: string): boolean {
  return value !== '';
}

/** Returns the files that the main file imports, without those of a plan. */
function importedFiles({ mainPath, importable = {} }: PresentConfig, main: TomlTable): ReadFile[] {
  return importedPaths(mainPath, main, Object.keys(importable))
    .filter((path) => ![DROP_IN, METRICS].includes(path))
    .map((path) => ({ path, config: parsed(path, importable[path] ?? '') }));
}

function cniOf({ plugins }: TomlTable): JsonObject {
  const { [RUNTIME]: runtime, [CRI_V2]: cri } = table(plugins);
  return table(table(runtime ?? cri).cni);
}

function parsed(path: string, text: string): TomlTable {
  try {
    return parse(text);
  } catch (error) {
    const line = (error as { line?: number }).line;
    throw new UnusableConfig(
      `${path} is not valid TOML${line === undefined ? '' : ` (line ${line})`}. Correct the file and plan again.`,
    );
  }
}

/** Whether a configuration does nothing but turn plugins off, as the one in Docker's containerd.io package. */
function isStub(config: TomlTable): boolean {
  return Object.keys(config).every((key) => ['version', 'disabled_plugins'].includes(key));
}

/** Returns the plugins that stay off, as version 3 names them. Version 1 has short names (containerd's config migration). */
function stillDisabled({ version, disabled_plugins: disabled }: TomlTable): string[] {
  const rest = strings(disabled).filter((plugin) => !isCri(plugin));
  return version === undefined || version === 1 ? rest.map(longName) : rest;
}

const SNAPSHOTTERS = ['aufs', 'btrfs', 'devmapper', 'native', 'overlayfs', 'zfs'];

function longName(plugin: string): string {
  if (plugin.includes('.')) return plugin;
  return `io.containerd.${SNAPSHOTTERS.includes(plugin) ? 'snapshotter' : 'grpc'}.v1.${plugin}`;
}

function registryOf({ plugins }: TomlTable): JsonObject {
  const { [IMAGES]: images, [CRI_V2]: cri } = table(plugins);
  return table(table(images ?? cri).registry);
}

/** containerd refuses the old keys for registries beside config_path. */
function refuseOldRegistries(path: string, config: TomlTable): void {
  const registry = registryOf(config);
  const old = ['mirrors', 'configs', 'auths'].filter((key) => isObject(registry[key]));
  if (typeof registry.config_path === 'string') refuseOtherHosts(path, registry.config_path);
  if (old.length === 0) return;
  throw new UnusableConfig(
    `${path} has ${old.map((key) => `registry.${key}`).join(', ')}, which containerd refuses together with registry.config_path. ` +
      `Move these settings to hosts.toml files in ${CERTS_D}, remove them, and plan again.`,
  );
}

/** The plan's hosts.toml files would have no effect in another directory, and those there none with the plan's. */
function refuseOtherHosts(path: string, configPath: string): void {
  if (configPath === '' || configPath.split(':').includes(CERTS_D)) return;
  throw new UnusableConfig(
    `${path} has registry.config_path = "${configPath}", and the plan writes into ${CERTS_D}. ` +
      `Move the directories of the registries to ${CERTS_D}, name it in config_path, and plan again.`,
  );
}

/** Adds the import and enables CRI. Comments stay unless the file is written so that its lines cannot be changed one by one. */
function importing(text: string, old: TomlTable, imported: string): string {
  const imports = strings(old.imports);
  const disabled = strings(old.disabled_plugins);
  const wanted: TomlTable = {
    ...old,
    imports: imports.includes(imported) ? imports : [...imports, imported],
    ...(disabled.length === 0 ? {} : { disabled_plugins: disabled.filter((plugin) => !isCri(plugin)) }),
  };
  let edited = text;
  for (const key of ['disabled_plugins', 'imports'] as const) {
    if (wanted[key] === undefined || JSON.stringify(wanted[key]) === JSON.stringify(old[key])) continue;
    const line = stringify({ [key]: wanted[key] }).trim();
    const present = new RegExp(`^[ \\t]*${key}[ \\t]*=[^\\n]*$`, 'm');
    edited = present.test(edited)
      ? edited.replace(present, () => line)
      : edited.replace(/^[ \t]*version[ \t]*=[^\n]*$/m, (found) => `${found}\n${line}`);
  }
  return sameToml(edited, wanted) ? edited : stringify(wanted);
}

function isCri(plugin: string): boolean {
  return plugin === 'cri' || [CRI_V2, IMAGES, RUNTIME].includes(plugin);
}

function sameToml(text: string, wanted: TomlTable): boolean {
  try {
    return stringify(sorted(parse(text))) === stringify(sorted(wanted));
  } catch {
    return false;
  }
}

function sorted(config: TomlTable): TomlTable {
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function table(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
