import { readdir } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { parse } from 'yaml';
import { errnoOf, messageOf } from '../lib/errors';
import { flagOf, flagsOf } from '../lib/flags';
import { SmallFile } from '../node/disk/files';
import type { NodeProcess } from '../node/process/node-processes';

const MAX_BYTES = 1 << 20;
const MAX_DROP_INS = 100;
/** The file that kubeadm writes. */
export const USUAL_CONFIG = '/var/lib/kubelet/config.yaml';
/**
 * The files with kubelet's flags, in the order in which kubeadm's unit puts their flags on the command line. Later flags win.
 */
const ENVIRONMENTS = ['/var/lib/kubelet/kubeadm-flags.env', '/etc/default/kubelet', '/etc/sysconfig/kubelet'];

/** The facts about this node's kubelet, without any judgement. */
export interface KubeletFacts {
  /** The source of the facts, for people: `process 812`, or the files; '' when nothing was found. */
  readonly from: string;
  readonly isRunning: boolean;
  readonly args: readonly string[];
  /** The configuration file that people edit. */
  readonly file: string;
  /** The configurations that were read: first the file's, then its drop-ins'. Later ones win. */
  readonly configs: readonly KubeletConfig[];
  /** One message for each file that could not be read, with its path. */
  readonly problems: readonly string[];
}

/** The fields of a KubeletConfiguration that concern the runtime; '' for a field that the file does not set. */
export interface KubeletConfig {
  readonly featureGates: Readonly<Record<string, boolean>>;
  readonly containerRuntimeEndpoint: string;
  readonly cgroupDriver: string;
}

/** The settings that a kubelet has from its command line and its files. */
export interface EffectiveKubelet {
  readonly gates: ReadonlyMap<string, boolean>;
  /** '' when it is not set. */
  readonly endpoint: string;
  /** '' when it is not set. */
  readonly cgroupDriver: string;
}

/**
 * Merges the settings. The command line overrides files, separately for each feature gate (kubelet's
 * cmd/kubelet/app/server.go).
 */
export function effectiveKubelet({
  args,
  configs,
}: Pick<KubeletFacts, 'args' | 'configs'>): EffectiveKubelet {
  const fromFiles = configs.flatMap(({ featureGates }) => Object.entries(featureGates));
  const last = (key: 'containerRuntimeEndpoint' | 'cgroupDriver'): string =>
    configs.map((config) => config[key]).findLast((value) => value !== '') ?? '';
  return {
    gates: new Map([...fromFiles, ...flagsOf(args, 'feature-gates').flatMap(gatesOf)]),
    endpoint: flagOf(args, 'container-runtime-endpoint') ?? last('containerRuntimeEndpoint'),
    cgroupDriver: flagOf(args, 'cgroup-driver') ?? last('cgroupDriver'),
  };
}

/** Parses feature gates such as `A=true,B=false`. */
function gatesOf(value: string): [string, boolean][] {
  return value.split(',').flatMap((item) => {
    const [name = '', state = ''] = item.trim().split('=');
    return name === '' ? [] : [[name, /^(1|t|true)$/i.test(state)]];
  });
}

export interface KubeletPlaces {
  readonly processes: readonly NodeProcess[];
  /** A file to read instead of searching for files. */
  readonly config?: string | undefined;
  /** The directory below which all files are searched; tests replace it. */
  readonly root?: string;
  readonly proc?: string;
  /** Returns the place of a path below a root directory. By default, absolute links lead out of that directory. */
  readonly locate?: (root: string, path: string) => Promise<string>;
}

/**
 * Reads the command line and files of the running kubelet. If no kubelet is running, reads the files with which it would be
 * started.
 */
export async function readKubelet(places: KubeletPlaces): Promise<KubeletFacts> {
  const { processes, config, root = '/', proc = '/proc', locate = joined } = places;
  if (config !== undefined) return fromFiles([], config, (path) => [() => Promise.resolve(path)]);
  const kubelets = processes.filter(({ name }) => name === 'kubelet');
  const [kubelet] = kubelets;
  const onNode = (path: string) => () => locate(root, path);
  if (kubelet === undefined) return withoutProcess((path) => [onNode(path)]);
  const { pid, args } = kubelet;
  const others = kubelets.length === 1 ? '' : ` (the first of ${kubelets.length})`;
  const seenBy = (directory: 'root' | 'cwd', path: string) => () =>
    locate(join(proc, String(pid), directory), path);
  const facts = await fromFiles(args, flagOf(args, 'config') ?? '', (path) =>
    // The path is resolved as the kubelet process sees it, because kubelet may run in a container.
    isAbsolute(path) ? [seenBy('root', path), onNode(path)] : [seenBy('cwd', path)],
  );
  return {
    ...facts,
    from: `process ${pid}${others}${facts.file === '' ? '' : `, ${facts.file}`}`,
    isRunning: true,
  };
}

/** Finds a place on this machine. Fails with the system's error. */
type Place = () => Promise<string>;

/** @returns the places where one of kubelet's paths may be read, the best place first. */
type Locate = (path: string) => readonly Place[];

function joined(root: string, path: string): Promise<string> {
  return Promise.resolve(join(root, path));
}

async function withoutProcess(locate: Locate): Promise<KubeletFacts> {
  const read = await Promise.all(
    ENVIRONMENTS.map(async (path) => [path, await readAt(locate(path)).catch(() => undefined)] as const),
  );
  const found = read.filter(([, text]) => text !== undefined);
  const args = found.flatMap(([, text = '']) => wordsOf(text));
  const file = flagOf(args, 'config');
  const facts = await fromFiles(args, file ?? USUAL_CONFIG, locate);
  const isThere = file !== undefined || facts.configs.length > 0 || facts.problems.length > 0;
  const names = [...(isThere ? [facts.file] : []), ...found.map(([path]) => path)];
  return { ...facts, from: names.join(', ') };
}

async function fromFiles(args: readonly string[], file: string, locate: Locate): Promise<KubeletFacts> {
  const problems: string[] = [];
  const configs: KubeletConfig[] = [];
  const read = async (path: string, places: readonly Place[]): Promise<void> => {
    try {
      configs.push(parseKubeletConfig(await readAt(places)));
    } catch (error) {
      if (path !== USUAL_CONFIG || errnoOf(error) !== 'ENOENT') problems.push(`${path}: ${messageOf(error)}`);
    }
  };
  if (file !== '') await read(file, locate(file));
  const directory = flagOf(args, 'config-dir') ?? '';
  const more = directory === '' ? [] : await dropIns(directory, locate(directory), problems);
  for (const path of more) await read(path, locate(path));
  return { from: file, isRunning: false, args, file, configs, problems };
}

/** Lists the `*.conf` files at any depth, sorted by name. kubelet reads no other files, and follows no links to directories. */
async function dropIns(directory: string, [place]: readonly Place[], problems: string[]): Promise<string[]> {
  try {
    const start = (await place?.()) ?? directory;
    const entries = await readdir(start, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.conf'))
      .map(({ parentPath, name }) => relative(start, join(parentPath, name)))
      .sort()
      .slice(0, MAX_DROP_INS)
      .map((name) => join(directory, name));
  } catch (error) {
    problems.push(`${directory}: ${messageOf(error)}`);
    return [];
  }
}

/** Reads the file at the first of these places that this user may read. */
async function readAt([place, ...others]: readonly Place[]): Promise<string> {
  try {
    return await new SmallFile((await place?.()) ?? '', MAX_BYTES).text();
  } catch (error) {
    if (others.length > 0 && errnoOf(error) === 'EACCES') return readAt(others);
    throw error;
  }
}

/** Returns the flags in lines like `NAME="--flag=value …"`. */
function wordsOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => /^\s*[A-Z_]+=(.*)$/.exec(line)?.[1]?.trim() ?? '')
    .flatMap((value) => value.replace(/^(["'])(.*)\1$/, '$2').split(/\s+/))
    .filter((word) => word !== '');
}

const KIND = 'KubeletConfiguration';

/**
 * Parses a KubeletConfiguration.
 * @param text YAML 1.1, as kubelet reads it; JSON is YAML too.
 * @throws Error that says what is wrong, without the file's name and without its contents.
 */
export function parseKubeletConfig(text: string): KubeletConfig {
  const config: unknown = parse(text, { version: '1.1', prettyErrors: false, logLevel: 'error' });
  if (!isMap(config)) throw new Error(`is not a ${KIND}`);
  if (config.kind !== KIND) throw new Error(`"kind" is not ${KIND}`);
  const { featureGates = {} } = config;
  if (featureGates !== null && !isMap(featureGates)) throw new Error('"featureGates" is not a map');
  return {
    featureGates: Object.fromEntries(
      Object.entries(featureGates ?? {}).map(([name, value]) => {
        if (typeof value !== 'boolean') throw new Error(`"featureGates.${name}" is neither true nor false`);
        return [name, value];
      }),
    ),
    containerRuntimeEndpoint: textOf(config, 'containerRuntimeEndpoint'),
    cgroupDriver: textOf(config, 'cgroupDriver'),
  };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(config: Readonly<Record<string, unknown>>, key: string): string {
  const value = config[key] ?? '';
  if (typeof value !== 'string') throw new Error(`"${key}" is not text`);
  return value;
}
