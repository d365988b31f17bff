import { isMap, isSeq, LineCounter, parseDocument, type Node } from 'yaml';
import { isObject, type JsonObject } from '../../lib/json';
import { dockerdFlags } from './dockerd-flags';

/** One setting of Docker Engine, at its full depth. */
export interface EngineSetting {
  /** The keys from the root of daemon.json, such as `['runtimes', 'kata', 'path']`. */
  readonly path: readonly string[];
  readonly value: unknown;
  /** `/etc/docker/daemon.json:3`, or `dockerd's argument --debug`. */
  readonly where: string;
}

/** What configures the Engine of a node. */
export interface EngineConfiguration {
  /** daemon.json; undefined when the file does not exist. */
  readonly file?: { readonly path: string; readonly text: string };
  /** dockerd's arguments without the command. */
  readonly arguments?: readonly string[];
}

export interface EngineSettings {
  readonly settings: readonly EngineSetting[];
  /** All settings as one daemon.json would hold them. */
  readonly merged: JsonObject;
  /** Why daemon.json cannot be read; '' when it can. */
  readonly problem: string;
}

/** Settings whose value is a map that the Engine reads key by key. Other objects are one value (daemon/config/config.go). */
const DEPTHS: Readonly<Record<string, number>> = {
  builder: 4,
  'default-network-opts': 3,
  'default-ulimits': 2,
  features: 2,
  'log-opts': 2,
  'nri-opts': 2,
  proxies: 2,
  runtimes: 3,
};

/** Returns all settings of an Engine: those of daemon.json, then those of the command line. */
export function engineSettings({ file, arguments: args = [] }: EngineConfiguration): EngineSettings {
  const parsed = file === undefined ? { object: {}, problem: '' } : parse(file.text);
  const lines = file === undefined ? undefined : new Lines(file.path, file.text);
  const flags = dockerdFlags(args);
  const settings = [
    ...leaves(parsed.object).map(({ path, value }) => ({ path, value, where: lines?.of(path) ?? '' })),
    ...flags.map(({ path, value, flag }) => ({ path, value, where: `dockerd's argument ${flag}` })),
  ];
  return { settings, merged: merge(settings), problem: parsed.problem };
}

function parse(text: string): { object: JsonObject; problem: string } {
  // dockerd also skips a byte order mark, and treats an empty file as an empty configuration.
  const plain = text.replace(/^\uFEFF/, '');
  if (plain.trim() === '') return { object: {}, problem: '' };
  try {
    const value: unknown = JSON.parse(plain);
    return isObject(value)
      ? { object: value, problem: '' }
      : { object: {}, problem: 'the text is not a JSON object' };
  } catch (error) {
    // The message of JSON.parse quotes the text, which may hold a secret.
    const place = /position \d+|line \d+ column \d+/.exec(String(error))?.[0];
    return { object: {}, problem: place === undefined ? 'invalid JSON' : `invalid JSON at ${place}` };
  }
}

function leaves(object: JsonObject): { path: string[]; value: unknown }[] {
  return Object.entries(object).flatMap(([key, value]) => below([key], value, DEPTHS[key] ?? 1));
}

function below(path: string[], value: unknown, depth: number): { path: string[]; value: unknown }[] {
  if (depth <= path.length || !isObject(value) || Object.keys(value).length === 0) return [{ path, value }];
  return Object.entries(value).flatMap(([key, inner]) => below([...path, key], inner, depth));
}

/** Builds one object of all settings. Lists in the file and on the command line are joined. For other values, the last one wins. */
function merge(settings: readonly EngineSetting[]): JsonObject {
  const root = new Map<string, unknown>();
  for (const { path, value } of settings) {
    let map = root;
    for (const key of path.slice(0, -1)) {
      const found = map.get(key);
      const next = found instanceof Map ? (found as Map<string, unknown>) : new Map<string, unknown>();
      map.set(key, next);
      map = next;
    }
    const last = path.at(-1) ?? '';
    const before = map.get(last);
    map.set(
      last,
      Array.isArray(before) && Array.isArray(value)
        ? [...(before as unknown[]), ...(value as unknown[])]
        : value,
    );
  }
  return plain(root);
}

function plain(map: ReadonlyMap<string, unknown>): JsonObject {
  return Object.fromEntries(
    [...map].map(([key, value]) => [
      key,
      value instanceof Map ? plain(value as ReadonlyMap<string, unknown>) : value,
    ]),
  );
}

/** Finds the lines of keys. */
class Lines {
  private readonly counter = new LineCounter();
  private readonly root: unknown;

  constructor(
    private readonly file: string,
    text: string,
  ) {
    // JSON is YAML, and this parser keeps the positions.
    this.root = parseDocument(text.replace(/^\uFEFF/, ''), {
      lineCounter: this.counter,
      uniqueKeys: false,
    }).contents;
  }

  of(path: readonly string[]): string {
    let node = this.root;
    let offset: number | undefined;
    for (const key of path) {
      if (!isMap(node)) break;
      const pair = node.items.findLast(
        ({ key: name }) => (name as { value?: unknown } | null)?.value === key,
      );
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
      if (isSeq(node)) break;
    }
    return offset === undefined ? this.file : `${this.file}:${this.counter.linePos(offset).line}`;
  }
}
