import { join } from 'node:path';
import { parse, stringify, type TomlTable } from 'smol-toml';
import { isObject, text as textOf, type JsonObject } from '../../lib/json';
import { RUNC, type OciRuntime, type TargetSettings } from '../mapping/target-settings';
import { BASE_SPEC, baseSpec } from './base-spec';
import { targetFile, type PlannedFile } from './node-file';
import { CERTS_D, hostsFiles, type Certificates } from './registries';
import { unitDropIns } from './systemd';

export const MAIN = '/etc/containerd/config.toml';
export const DROP_IN = '/etc/containerd/conf.d/10-from-docker.toml';
/** A file of its own, which comes when dockerd has given its port free: containerd does not start without the port. */
export const METRICS = '/etc/containerd/conf.d/20-metrics-from-docker.toml';
/** Matches both files, whether the second one is there yet or not. */
export const DROP_INS = '/etc/containerd/conf.d/*-from-docker.toml';

const IMAGES = 'io.containerd.cri.v1.images';
const RUNTIME = 'io.containerd.cri.v1.runtime';
/** The CRI plugin of configuration version 2, which version 3 split in two. */
const CRI_V2 = 'io.containerd.grpc.v1.cri';

/** What the files of containerd depend on, besides the settings. */
export interface TargetNode {
  readonly cgroupVersion: 1 | 2;
  readonly certificates: Certificates;
  readonly cniConfDir: string;
  readonly cniBinDirs: readonly string[];
  /** The plugins that a directory lacks and that another one has, by directory. */
  readonly cniMissing: Readonly<Record<string, readonly string[]>>;
  /** '' for the target's default. */
  readonly sandboxImage: string;
  /** LimitNOFILE for the target's unit; '' for the unit's own. */
  readonly openFiles: string;
  /** The file with which containerd starts. */
  readonly mainPath: string;
  /** The configuration that the target has now, if there is one. */
  readonly mainConfig?: string;
  /** The directories in which that configuration looks for registries; they stay. */
  readonly registryPath?: string;
  /** Whether that configuration names a place for the data, which stays. */
  readonly hasRoot?: boolean;
  /** The only directory of plugins; '' when the main configuration names it, undefined for all of `cniBinDirs`. */
  readonly cniBinDir?: string;
}

/** An existing configuration that the plan cannot extend. Its message tells what to do. */
export class UnusableConfig extends Error {}

/** Returns all files of containerd. Throws UnusableConfig. */
export function containerdFiles(settings: TargetSettings, node: TargetNode, origin: string): PlannedFile[] {
  const main = mainFile(node, origin, settings.metricsAddress === '' ? DROP_IN : DROP_INS);
  // Version 2 has no `bin_dirs`, and containerd refuses `bin_dirs` next to a `bin_dir`.
  const hasOneBinDir = main.version === 2 || main.binDir !== '';
  const current = containerdConfig(settings, {
    ...node,
    hasRoot: main.hasRoot,
    registryPath: main.registryPath,
    ...(hasOneBinDir ? { cniBinDir: binDirFor(main.binDir, node) } : {}),
  });
  const config = main.version === 2 ? asVersion2(current) : current;
  return [
    main.file,
    targetFile(DROP_IN, origin, stringify(config)),
    ...metricsFile(settings, main.version, origin),
    ...hostsFiles(settings, node.certificates, origin),
    ...(settings.ulimits.length === 0
      ? []
      : // JSON has no comments: this file is the only one without its origin.
        [
          {
            path: BASE_SPEC,
            text: baseSpec(settings.ulimits, node.cgroupVersion),
            mode: 0o644,
            step: 'write-target',
          } as const,
        ]),
    ...unitDropIns('containerd', settings, node.openFiles, origin),
  ];
}

function metricsFile({ metricsAddress }: TargetSettings, version: 2 | 3, origin: string): PlannedFile[] {
  if (metricsAddress === '') return [];
  const text = stringify({ version, metrics: { address: metricsAddress } });
  return [{ ...targetFile(METRICS, origin, text), step: 'enable-metrics' }];
}

/** Returns the configuration in version 3 (containerd docs/man/containerd-config.toml.5.md). */
export function containerdConfig(settings: TargetSettings, node: TargetNode): JsonObject {
  const base = settings.ulimits.length === 0 ? {} : { base_runtime_spec: BASE_SPEC };
  const runc = settings.runtimes.some(({ name }) => name === 'runc')
    ? settings.runtimes
    : [{ name: 'runc', path: '', type: RUNC, options: {} }, ...settings.runtimes];
  const runtimes = Object.fromEntries(runc.map((one) => [one.name, runtimeOf(one, settings, base)]));
  const debug = {
    ...(settings.logLevel === '' ? {} : { level: settings.logLevel }),
    ...(settings.logFormat === '' ? {} : { format: settings.logFormat }),
  };
  return {
    version: 3,
    ...(settings.dataParent === '' || node.hasRoot === true
      ? {}
      : { root: join(settings.dataParent, 'containerd') }),
    ...(Object.keys(debug).length === 0 ? {} : { debug }),
    plugins: {
      [IMAGES]: {
        ...(settings.snapshotter === '' ? {} : { snapshotter: settings.snapshotter }),
        ...(node.sandboxImage === '' ? {} : { pinned_images: { sandbox: node.sandboxImage } }),
        registry: {
          config_path:
            node.registryPath === undefined || node.registryPath === '' ? CERTS_D : node.registryPath,
        },
      },
      [RUNTIME]: {
        ...(settings.selinux ? { enable_selinux: true } : {}),
        ...(settings.seccompProfile === '' ? {} : { unset_seccomp_profile: settings.seccompProfile }),
        ...(settings.cdiSpecDirs.length === 0 ? {} : { cdi_spec_dirs: settings.cdiSpecDirs }),
        cni: { ...binDirsOf(node), conf_dir: node.cniConfDir },
        containerd: {
          ...(settings.defaultRuntime === '' ? {} : { default_runtime_name: settings.defaultRuntime }),
          runtimes,
        },
      },
      ...(settings.maxConcurrentDownloads === undefined
        ? {}
        : {
            'io.containerd.transfer.v1.local': { max_concurrent_downloads: settings.maxConcurrentDownloads },
          }),
    },
  };
}

function binDirsOf({ cniBinDir, cniBinDirs }: TargetNode): JsonObject {
  if (cniBinDir === undefined) return { bin_dirs: cniBinDirs };
  return cniBinDir === '' ? {} : { bin_dir: cniBinDir };
}

/**
 * Chooses the one directory for plugins that `bin_dir` can name. Returns '' when the configuration names it already.
 * @param current the `bin_dir` of the main configuration; '' when it has none.
 */
function binDirFor(current: string, { cniBinDirs, cniMissing }: TargetNode): string {
  const isComplete = (directory: string) => (cniMissing[directory] ?? []).length === 0;
  if (current !== '' && isComplete(current)) return '';
  const chosen = [...cniBinDirs, ...Object.keys(cniMissing)].find(isComplete);
  if (chosen !== undefined) return chosen;
  const lacks = Object.entries(cniMissing).map(
    ([directory, plugins]) => `${directory} lacks ${plugins.join(', ')}`,
  );
  throw new UnusableConfig(
    `${MAIN} can name one directory for CNI plugins only (bin_dir), and no directory has all plugins of the network: ${lacks.join('; ')}. ` +
      'Link the plugins into one of these directories, and plan again.',
  );
}

/** All runc-like runtimes need the same cgroup driver (containerd docs/cri/config.md); the options of other shims are their own. */
function runtimeOf(runtime: OciRuntime, settings: TargetSettings, base: object): object {
  const isRunc = runtime.type === RUNC;
  const options = {
    ...runtime.options,
    ...(isRunc ? { SystemdCgroup: settings.cgroupDriver === 'systemd' } : {}),
    ...(runtime.path === '' ? {} : { BinaryName: runtime.path }),
  };
  return { runtime_type: runtime.type, ...base, ...(Object.keys(options).length === 0 ? {} : { options }) };
}

/**
 * Rewrites a configuration of version 3 as version 2. containerd 2.1 loses the CRI settings of an older main file when it imports
 * a file of version 3, without a message: the imported file must have the version of the main file.
 */
function asVersion2(config: JsonObject): JsonObject {
  const plugins = table(config.plugins);
  const { [IMAGES]: images, [RUNTIME]: runtime, ...others } = plugins;
  const { snapshotter, pinned_images: pinned, ...restOfImages } = table(images);
  const { cni, containerd, ...restOfRuntime } = table(runtime);
  return {
    ...config,
    version: 2,
    plugins: {
      [CRI_V2]: {
        ...(isObject(pinned) ? { sandbox_image: pinned.sandbox } : {}),
        ...restOfImages,
        ...restOfRuntime,
        cni,
        containerd: { ...(snapshotter === undefined ? {} : { snapshotter }), ...table(containerd) },
      },
      ...others,
    },
  };
}

interface MainFile {
  readonly file: PlannedFile;
  /** The version that the drop-in must have. */
  readonly version: 2 | 3;
  readonly hasRoot: boolean;
  /** '' when it has none. */
  readonly registryPath: string;
  /** Its `bin_dir` for CNI plugins; '' when it has none. */
  readonly binDir: string;
}

/** Returns the directory of containerd's data after the migration. A configuration that is no TOML counts as none. */
export function containerdRoot({ dataParent }: TargetSettings, mainConfig = ''): string {
  try {
    const { root } = parsed(MAIN, mainConfig);
    if (typeof root === 'string') return root;
  } catch (error) {
    if (!(error instanceof UnusableConfig)) throw error;
  }
  return join(dataParent || '/var/lib', 'containerd');
}

/** Returns the main file, which imports the drop-in. */
function mainFile(
  { mainPath: path, mainConfig: before }: TargetNode,
  origin: string,
  imported: string,
): MainFile {
  const fresh = stringify({ version: 3, imports: [imported] });
  const nothing = { version: 3, hasRoot: false, registryPath: '', binDir: '' } as const;
  if (before === undefined) return { ...nothing, file: targetFile(path, origin, fresh) };
  const old = parsed(path, before);
  if (isStub(old)) return { ...nothing, file: { ...targetFile(path, origin, fresh), before } };
  const version = old.version;
  if (version !== 2 && version !== 3 && version !== 4)
    throw new UnusableConfig(
      `${path} has configuration version ${typeof version === 'number' ? version : 1}, which containerd 2 migrates but the plan cannot extend. ` +
        'Run `containerd config migrate`, put its output in the place of the file, and plan again.',
    );
  refuseOldRegistries(path, old);
  const text = importing(before, old, imported);
  return {
    file: { path, text, mode: 0o644, before, step: 'write-target' },
    version: version === 2 ? 2 : 3,
    hasRoot: typeof old.root === 'string',
    registryPath: textOf(registryOf(old).config_path),
    binDir: binDirIn(table(old.plugins)[version === 2 ? CRI_V2 : RUNTIME]),
  };
}

function binDirIn(runtime: unknown): string {
  const value = table(table(runtime).cni).bin_dir;
  return typeof value === 'string' ? value : '';
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

/** Whether a configuration does nothing but turn CRI off, as the one in Docker's containerd.io package. */
function isStub(config: TomlTable): boolean {
  return Object.keys(config).every((key) => ['version', 'disabled_plugins'].includes(key));
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

function table(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
