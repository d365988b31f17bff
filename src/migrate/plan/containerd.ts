import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { isObject, type JsonObject } from '../../lib/json';
import { RUNC, type OciRuntime, type TargetSettings } from '../mapping/target-settings';
import { BASE_SPEC, baseSpec } from './base-spec';
import {
  CRI_V2,
  DROP_IN,
  DROP_INS,
  IMAGES,
  MAIN,
  mainFile,
  METRICS,
  RUNTIME,
  table,
  UnusableConfig,
  type MainFile,
  type PresentConfig,
} from './containerd-main';
import { targetFile, type PlannedFile } from './node-file';
import { CERTS_D, hostsFiles, type Certificates } from './registries';
import { unitDropIns } from './systemd';

/** What the files of containerd depend on, besides the settings. */
export interface TargetNode extends PresentConfig {
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
  /** The programs of the node that the target may need. */
  readonly executables: readonly string[];
  /** The runtimes that CRI-O's configuration on the node defines. */
  readonly crioRuntimes: readonly string[];
}

/** What the drop-in leaves to the configuration that containerd has. */
interface Kept {
  /** The directories of registries; '' for the plan's. */
  readonly registryPath: string;
  readonly hasRoot: boolean;
  readonly hasConfDir: boolean;
  readonly hasBinDirs: boolean;
  /** The only directory of plugins; '' when the main configuration names it, undefined for all of `cniBinDirs`. */
  readonly binDir?: string;
}

/** The files of containerd, and the settings that it has already. */
export interface ContainerdPlan {
  readonly files: readonly PlannedFile[];
  readonly main: MainFile;
  /** The new settings, in the version of the main file. */
  readonly dropIn: JsonObject;
}

/** Returns all files of containerd, with the settings that they have to do with. Throws UnusableConfig. */
export function containerdPlan(settings: TargetSettings, node: TargetNode, origin: string): ContainerdPlan {
  const main = mainFile(node, origin, settings.metricsAddress === '' ? DROP_IN : DROP_INS);
  // Version 2 has no `bin_dirs`, and containerd refuses `bin_dirs` next to a `bin_dir`.
  const hasOneBinDir = main.version === 2 || main.binDir !== '';
  const current = containerdConfig(settings, node, {
    ...{ registryPath: main.registryPath, hasRoot: main.hasRoot, hasBinDirs: main.hasBinDirs },
    hasConfDir: main.confDir !== undefined,
    ...(hasOneBinDir ? { binDir: binDirFor(main.binDir, node) } : {}),
  });
  const config = main.version === 2 ? asVersion2(current) : current;
  return { main, dropIn: config, files: filesOf(main, config, settings, node, origin) };
}

function filesOf(
  main: MainFile,
  config: JsonObject,
  settings: TargetSettings,
  node: TargetNode,
  origin: string,
): PlannedFile[] {
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
function containerdConfig(settings: TargetSettings, node: TargetNode, kept: Kept): JsonObject {
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
    ...(settings.dataParent === '' || kept.hasRoot ? {} : { root: join(settings.dataParent, 'containerd') }),
    ...(Object.keys(debug).length === 0 ? {} : { debug }),
    plugins: {
      [IMAGES]: {
        ...(settings.snapshotter === '' ? {} : { snapshotter: settings.snapshotter }),
        ...(node.sandboxImage === '' ? {} : { pinned_images: { sandbox: node.sandboxImage } }),
        registry: {
          config_path: kept.registryPath === '' ? CERTS_D : kept.registryPath,
        },
      },
      [RUNTIME]: {
        ...(settings.selinux ? { enable_selinux: true } : {}),
        ...(settings.seccompProfile === '' ? {} : { unset_seccomp_profile: settings.seccompProfile }),
        ...(settings.cdiSpecDirs.length === 0 ? {} : { cdi_spec_dirs: settings.cdiSpecDirs }),
        cni: { ...binDirsOf(node, kept), ...(kept.hasConfDir ? {} : { conf_dir: node.cniConfDir }) },
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

function binDirsOf({ cniBinDirs }: TargetNode, { binDir, hasBinDirs }: Kept): JsonObject {
  if (hasBinDirs) return {};
  if (binDir === undefined) return { bin_dirs: cniBinDirs };
  return binDir === '' ? {} : { bin_dir: binDir };
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
