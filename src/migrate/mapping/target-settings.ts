import { isObject, text, type JsonObject } from '../../lib/json';
import type { DiskFacts } from '../facts';
import { targetParent } from '../target-root';
import { CRIO_DRIVERS, SNAPSHOTTERS } from './rows/storage';
import { hostsOfImages, inRanges, isRegistryHost } from './registry-hosts';
import { isAddressRange } from './rows/registries';

/** The settings of the Engine, in the target's terms and independent of file formats. The target's files are made from these. */
export interface TargetSettings {
  readonly cgroupDriver: 'systemd' | 'cgroupfs';
  /** URLs of mirrors of docker.io, in the order in which the Engine asks them. */
  readonly mirrors: readonly string[];
  /** Registries, as in image names, whose certificates are not verified or that speak HTTP. */
  readonly insecureRegistries: readonly string[];
  /** Entries of insecure-registries that are not hosts. They are not written to any file. */
  readonly invalidRegistries: readonly string[];
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
  readonly runtimes: readonly OciRuntime[];
  /** '' for the target's default. */
  readonly defaultRuntime: string;
  readonly ulimits: readonly Ulimit[];
  /** The directory that gets the target's data; '' for the target's default. */
  readonly dataParent: string;
  /** '' for the target's default. */
  readonly snapshotter: string;
  readonly storageDriver: string;
  readonly seccompProfile: string;
  readonly selinux: boolean;
  readonly cdiSpecDirs: readonly string[];
  readonly maxConcurrentDownloads?: number;
  readonly logLevel: string;
  readonly logFormat: string;
  readonly logToJournald: boolean;
  /** `HOST:PORT`; '' for no metrics. */
  readonly metricsAddress: string;
  readonly oomScoreAdjust?: number;
  /** Quantities of Kubernetes, such as `10Mi`; '' when the Engine sets none. */
  readonly logMaxSize: string;
  readonly logMaxFiles?: number;
}

export interface OciRuntime {
  readonly name: string;
  /** The path of a runc-like program; '' when the runtime has a shim of its own. */
  readonly path: string;
  /** containerd's name for the shim, such as `io.containerd.kata.v2`. */
  readonly type: string;
  readonly options: JsonObject;
}

/** A limit in the terms of setrlimit(2); -1 is no limit. */
export interface Ulimit {
  /** Such as `nofile`. */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

export const RUNC = 'io.containerd.runc.v2';

/** What is known of the node in addition to the settings. */
export interface NodeContext {
  /** The driver with which the kubelet or the Engine works now; '' when it is not known. */
  readonly cgroupDriver: string;
  readonly cgroupVersion: 1 | 2;
  /** The names of the images on the node. */
  readonly images: readonly string[];
  /** Whether the Engine's containers live in the containerd that becomes the target. */
  readonly isContainerdShared: boolean;
  /** The file systems of the node, as far as they are known. */
  readonly disks?: readonly DiskFacts[];
  /** The Engine's effective settings about registries, if it answered. */
  readonly registries?: { readonly mirrors: readonly string[]; readonly insecure: readonly string[] };
  /** The Engine's proxies with their passwords: those of its settings, or else of its environment. */
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
}

/** Translates the merged settings of an Engine (engineSettings) to those of a target. */
export function targetSettings(merged: JsonObject, node: NodeContext): TargetSettings {
  const options = group(merged, 'log-opts');
  const downloads = number(merged['max-concurrent-downloads']);
  const oomScoreAdjust = number(merged['oom-score-adjust']);
  const files = number(options['max-file']);
  const runtimes = runtimesOf(merged);
  const insecure = insecureRegistries(
    node.registries?.insecure ?? strings(merged['insecure-registries']),
    node.images,
  );
  return {
    cgroupDriver: cgroupDriver(merged, node),
    mirrors: unique(node.registries?.mirrors ?? strings(merged['registry-mirrors'])).map((url) =>
      url.replace(/\/+$/, ''),
    ),
    insecureRegistries: insecure.filter(isRegistryHost),
    invalidRegistries: insecure.filter((name) => !isRegistryHost(name)),
    proxy: node.proxy,
    runtimes,
    defaultRuntime: defaultRuntime(text(merged['default-runtime']), runtimes),
    ulimits: ulimitsOf(group(merged, 'default-ulimits')),
    dataParent: targetParent(merged, node.isContainerdShared, node.disks ?? []),
    snapshotter: SNAPSHOTTERS[text(merged['storage-driver'])] ?? '',
    storageDriver: CRIO_DRIVERS[text(merged['storage-driver'])] ?? '',
    seccompProfile: text(merged['seccomp-profile']).startsWith('/') ? text(merged['seccomp-profile']) : '',
    selinux: merged['selinux-enabled'] === true,
    cdiSpecDirs: strings(merged['cdi-spec-dirs']),
    ...(downloads === undefined ? {} : { maxConcurrentDownloads: downloads }),
    logLevel: merged.debug === true ? 'debug' : text(merged['log-level']),
    logFormat: text(merged['log-format']),
    logToJournald: merged['log-driver'] === 'journald',
    metricsAddress: text(merged['metrics-addr']),
    ...(oomScoreAdjust === undefined ? {} : { oomScoreAdjust }),
    logMaxSize: quantity(text(options['max-size'])),
    // The kubelet refuses fewer than two files.
    ...(files === undefined ? {} : { logMaxFiles: Math.max(2, files) }),
  };
}

/** The driver never changes with the migration, because existing pods would stay in control groups of the old driver. */
function cgroupDriver(merged: JsonObject, node: NodeContext): 'systemd' | 'cgroupfs' {
  if (node.cgroupDriver !== '') return node.cgroupDriver === 'systemd' ? 'systemd' : 'cgroupfs';
  const option = strings(merged['exec-opts']).findLast((one) => one.startsWith('native.cgroupdriver='));
  if (option !== undefined) return option.endsWith('=systemd') ? 'systemd' : 'cgroupfs';
  return node.cgroupVersion === 2 ? 'systemd' : 'cgroupfs';
}

function insecureRegistries(entries: readonly string[], images: readonly string[]): string[] {
  const hosts = entries
    .filter((entry) => !isAddressRange(entry))
    .map((entry) => entry.replace(/^https?:\/\//i, ''));
  // The Engine adds these two ranges to each list.
  const ranges = [...entries.filter(isAddressRange), '127.0.0.0/8', '::1/128'];
  return unique([...hosts, ...hostsOfImages(images).filter((host) => inRanges(host, ranges))]);
}

/** Returns the runtimes that the Engine knows in addition to its own. */
export function runtimesOf(merged: JsonObject): OciRuntime[] {
  const named = Object.entries(group(merged, 'runtimes')).flatMap(([name, runtime]) =>
    isObject(runtime)
      ? [
          {
            name,
            path: text(runtime.path),
            type: text(runtime.runtimeType) || RUNC,
            options: isObject(runtime.options) ? runtime.options : {},
          },
        ]
      : [],
  );
  // The Engine also accepts the name of a shim as a runtime.
  const fallback = text(merged['default-runtime']);
  return fallback.startsWith('io.containerd.') &&
    fallback !== RUNC &&
    !named.some(({ name }) => name === fallback)
    ? [...named, { name: fallback, path: '', type: fallback, options: {} }]
    : named;
}

function defaultRuntime(name: string, runtimes: readonly OciRuntime[]): string {
  if (name === RUNC) return 'runc';
  return name === 'runc' || runtimes.some((runtime) => runtime.name === name) ? name : '';
}

function ulimitsOf(limits: JsonObject): Ulimit[] {
  return Object.entries(limits).flatMap(([name, limit]) => {
    if (!isObject(limit)) return [];
    // Go reads the keys of these structs without regard to case.
    const value = (key: string) =>
      number(Object.entries(limit).find(([name]) => name.toLowerCase() === key)?.[1]) ?? 0;
    return [{ name, soft: value('soft'), hard: value('hard') }];
  });
}

/** Converts Docker's `10m` to a quantity of Kubernetes. Both count in powers of 1024. */
function quantity(size: string): string {
  const [, amount = '', unit = ''] = /^(\d+)([kmgt]?)i?b?$/i.exec(size) ?? [];
  if (amount === '') return '';
  return unit === '' ? amount : `${amount}${unit.toUpperCase()}i`;
}

function group(merged: JsonObject, key: string): JsonObject {
  const value = merged[key];
  return isObject(value) ? value : {};
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

function number(value: unknown): number | undefined {
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return Number(value);
  return typeof value === 'number' && value !== 0 ? value : undefined;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
