import { parse } from 'yaml';
import { duration } from '../../config/parsers';
import { invalidArgument, messageOf } from '../../lib/errors';
import { nearest } from '../../lib/nearest';
import { DESCRIPTORS } from '../../proto/descriptors';
import { UNKNOWN, type Json, type JsonObject } from '../../proto/fields';
import { fromJson } from '../../proto/json-to-message';
import { withoutUnknown } from '../../proto/without-unknown';
import { asText, isObject, objectOf, textOf } from '../json';

export interface Scenario {
  readonly pods: readonly ScenarioPod[];
  readonly steps: readonly Step[];
}

export interface ScenarioPod {
  readonly name: string;
  readonly runtimeHandler: string;
  /** A PodSandboxConfig. */
  readonly config: JsonObject;
  /** The containers' names → their ContainerConfig. */
  readonly containers: ReadonlyMap<string, JsonObject>;
}

export interface Expected {
  readonly exitCode: number;
  readonly stdout: string | undefined;
  readonly stderr: string | undefined;
}

/** The pod or container that a step is about. */
export interface Subject {
  readonly pod: string;
  readonly container?: string;
}

export type Step = { /** Such as `steps[3]`. */ readonly key: string } & (
  | { readonly kind: 'run' | 'create' | 'start' | 'remove' | 'stats'; readonly of: Subject }
  | { readonly kind: 'stop'; readonly of: Subject; readonly timeout: number }
  | {
      readonly kind: 'status';
      readonly of: Subject;
      readonly until: string | undefined;
      readonly withinMs: number;
    }
  | {
      readonly kind: 'exec';
      readonly of: Subject;
      readonly cmd: readonly string[];
      readonly timeout: number;
      readonly expected: Expected | undefined;
    }
  | { readonly kind: 'list'; readonly what: Listed }
);

const LISTED = ['pods', 'containers', 'images', 'pod_stats', 'container_stats'] as const;
export type Listed = (typeof LISTED)[number];

/** The keys that a kind of step accepts in addition to its subject. */
const MORE: Readonly<Record<Step['kind'], readonly string[]>> = {
  ...{ run: [], create: [], start: [], remove: [], stats: [], list: [] },
  ...{ stop: ['timeout'], status: ['until', 'within'], exec: ['cmd', 'timeout', 'expect'] },
};
const KINDS = Object.keys(MORE) as readonly Step['kind'][];
/** Steps that need a container, and steps that need a pod. */
const OF_CONTAINERS: readonly string[] = ['create', 'start', 'exec'];
const OF_PODS: readonly string[] = ['run'];

const NAMESPACE = 'scenario';
const WITHIN_MS = 30_000;
const STOP_SECONDS = 10;
const EXEC_SECONDS = 30;
const MAX_SECONDS = 3_600;

/**
 * Parses a scenario (docs/harness.md).
 * @throws INVALID_ARGUMENT that begins with the wrong key, such as `pods[0].containers[1].image.imag`.
 */
export function readScenario(text: string): Scenario {
  const file = fieldsOf(parsed(text), '', ['pods', 'steps']);
  const pods = listOf(file.pods, 'pods').map((pod, at) => readPod(pod, `pods[${at}]`));
  for (const [at, { name }] of pods.entries())
    if (pods.findIndex((pod) => pod.name === name) < at)
      throw invalidArgument(`pods[${at}].metadata.name`, `"${name}" is already the name of an earlier pod`);
  const steps = listOf(file.steps, 'steps').map((step, at) => readStep(step, `steps[${at}]`, pods));
  return { pods, steps };
}

function parsed(text: string): Json {
  try {
    return parse(text, { logLevel: 'error' }) as Json;
  } catch (error) {
    throw invalidArgument('the scenario', `is not YAML: ${messageOf(error)}`);
  }
}

function readPod(value: Json, key: string): ScenarioPod {
  if (!isObject(value)) throw invalidArgument(key, 'is not a map with metadata, containers and other keys');
  const { containers = [], runtime_handler: handler = '', ...config } = value;
  if (typeof handler !== 'string') throw invalidArgument(`${key}.runtime_handler`, 'is not text');
  check('PodSandboxConfig', config, key);
  const name = nameIn(config, key);
  const given = objectOf(config.metadata);
  const metadata = { namespace: NAMESPACE, uid: `${NAMESPACE}-${name}`, ...given };
  const named = listOf(containers, `${key}.containers`, 0).map((container, at): [string, JsonObject] => {
    const path = `${key}.containers[${at}]`;
    check('ContainerConfig', container, path);
    const its = objectOf(container);
    if (textOf(objectOf(its.image).image) === undefined)
      throw invalidArgument(`${path}.image.image`, 'is missing: a container needs an image');
    const of = nameIn(its, path);
    return [of, { log_path: `${of}/0.log`, linux: {}, ...its }];
  });
  const byName = new Map(named);
  if (byName.size < named.length)
    throw invalidArgument(`${key}.containers`, 'contains two containers of the same name');
  const log_directory = `/var/log/pods/${asText(metadata.namespace)}_${name}_${asText(metadata.uid)}`;
  return {
    ...{ name, runtimeHandler: handler, containers: byName },
    config: { log_directory, linux: {}, ...config, metadata },
  };
}

function check(message: string, value: Json, key: string): void {
  fromJson(message, value, key);
  withoutUnknown(message, objectOf(value), () => {
    throw invalidArgument(key, `has ${UNKNOWN}: a scenario can contain only fields that this version knows`);
  });
}

function nameIn(config: JsonObject, key: string): string {
  const name = textOf(objectOf(config.metadata).name);
  if (name === undefined) throw invalidArgument(`${key}.metadata.name`, 'is missing');
  return name;
}

function readStep(value: Json, key: string, pods: readonly ScenarioPod[]): Step {
  const known = [...KINDS, ...new Set(Object.values(MORE).flat())];
  const fields = fieldsOf(value, key, known);
  const given = KINDS.filter((kind) => kind in fields);
  const [kind] = given;
  if (kind === undefined || given.length > 1)
    throw invalidArgument(
      key,
      `has ${given.join(' and ') || 'no step'}: give exactly one of ${KINDS.join(', ')}`,
    );
  fieldsOf(value, key, [kind, ...MORE[kind]]);
  if (kind === 'list') return { key, kind, what: listed(fields.list, `${key}.list`) };
  const of = subject(fields[kind], `${key}.${kind}`, kind, pods);
  const seconds = (name: string, fallback: number): number =>
    secondsOf(fields[name], `${key}.${name}`, fallback);
  switch (kind) {
    case 'stop':
      return { key, kind, of, timeout: seconds('timeout', STOP_SECONDS) };
    case 'status':
      return {
        key,
        kind,
        of,
        until: stateOf(fields.until, `${key}.until`, of),
        withinMs: timeOf(fields.within, `${key}.within`),
      };
    case 'exec':
      return {
        ...{ key, kind, of, timeout: seconds('timeout', EXEC_SECONDS) },
        cmd: listOf(fields.cmd, `${key}.cmd`).map((word, at) => wordOf(word, `${key}.cmd[${at}]`)),
        expected: fields.expect === undefined ? undefined : expectedOf(fields.expect, `${key}.expect`),
      };
    case 'run':
    case 'create':
    case 'start':
    case 'remove':
    case 'stats':
      return { key, kind, of };
  }
}

function subject(value: Json | undefined, key: string, kind: string, pods: readonly ScenarioPod[]): Subject {
  const [name = '', container, ...rest] = typeof value === 'string' ? value.split('/') : [];
  const pod = pods.find((one) => one.name === name);
  const names = pods.flatMap((one) => [
    one.name,
    ...[...one.containers.keys()].map((of) => `${one.name}/${of}`),
  ]);
  if (pod === undefined || rest.length > 0 || (container !== undefined && !pod.containers.has(container)))
    throw invalidArgument(key, `${JSON.stringify(value ?? null)} is not one of ${names.join(', ')}`);
  if (container === undefined && OF_CONTAINERS.includes(kind))
    throw invalidArgument(key, `"${name}" is a pod, but ${kind} needs a container, such as ${name}/NAME`);
  if (container !== undefined && OF_PODS.includes(kind))
    throw invalidArgument(key, `"${name}/${container}" is a container, but ${kind} needs a pod`);
  return { pod: name, ...(container === undefined ? {} : { container }) };
}

function stateOf(value: Json | undefined, key: string, { container }: Subject): string | undefined {
  if (value === undefined) return undefined;
  const states = Object.values(
    DESCRIPTORS.enums[container === undefined ? 'PodSandboxState' : 'ContainerState'] ?? {},
  );
  if (typeof value === 'string' && states.includes(value)) return value;
  throw invalidArgument(key, `${JSON.stringify(value)} is not one of ${states.join(', ')}`);
}

function expectedOf(value: Json, key: string): Expected {
  const { exit_code = 0, stdout, stderr } = fieldsOf(value, key, ['exit_code', 'stdout', 'stderr']);
  if (typeof exit_code !== 'number' || !Number.isInteger(exit_code))
    throw invalidArgument(`${key}.exit_code`, `${JSON.stringify(exit_code)} is not an integer`);
  const text = (one: Json | undefined, name: string): string | undefined =>
    one === undefined ? undefined : wordOf(one, `${key}.${name}`);
  return { exitCode: exit_code, stdout: text(stdout, 'stdout'), stderr: text(stderr, 'stderr') };
}

function listed(value: Json | undefined, key: string): Listed {
  const found = LISTED.find((word) => word === value);
  if (found !== undefined) return found;
  throw invalidArgument(key, `${JSON.stringify(value ?? null)} is not one of ${LISTED.join(', ')}`);
}

function secondsOf(value: Json | undefined, key: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_SECONDS)
    return value;
  throw invalidArgument(key, `${JSON.stringify(value)} is not a number of seconds from 0 to ${MAX_SECONDS}`);
}

function timeOf(value: Json | undefined, key: string): number {
  if (value === undefined) return WITHIN_MS;
  return duration(wordOf(value, key), key);
}

function wordOf(value: Json, key: string): string {
  if (typeof value === 'string') return value;
  throw invalidArgument(key, `${JSON.stringify(value)} is not text`);
}

function listOf(value: Json | undefined, key: string, least = 1): readonly Json[] {
  if (Array.isArray(value) && value.length >= least) return value as readonly Json[];
  throw invalidArgument(key, `is not a ${least > 0 ? 'non-empty ' : ''}list`);
}

function fieldsOf(value: Json | undefined, key: string, known: readonly string[]): JsonObject {
  if (!isObject(value)) throw invalidArgument(key || 'the scenario', `is not a map with ${known.join(', ')}`);
  const strange = Object.keys(value).find((name) => !known.includes(name));
  if (strange === undefined) return value;
  const meant = nearest(strange, known);
  const hint = meant === undefined ? `the known keys are ${known.join(', ')}` : `is ${meant} meant?`;
  throw invalidArgument(key === '' ? strange : `${key}.${strange}`, `is unknown here: ${hint}`);
}
