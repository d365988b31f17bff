import { parse } from 'yaml';
import type { FieldRow } from '../../proto/descriptors';
import { invalidArgument, messageOf } from '../../lib/errors';
import { nearest } from '../../lib/nearest';
import { checkAsked, readPath, type RulePath } from './path';
import type { Rule, RuleKind, RuleText } from './rule';
import { runtimeMatch, type Runtime, type RuntimeMatch } from './runtime-match';
import { BASE_RULES } from './shipped/base';
import { CONTAINERD_RULES } from './shipped/containerd';
import { CRI_O_RULES } from './shipped/cri-o';
import { DOCKER_RULES } from './shipped/docker';

/** The rules for each runtime, by the name that it reports in Version. */
const SHIPPED: Readonly<Record<string, readonly RuleText[]>> = {
  docker: DOCKER_RULES,
  containerd: CONTAINERD_RULES,
  'cri-o': CRI_O_RULES,
};
/** The source of the rules that apply to any two runtimes. */
export const BASE = 'base';

/**
 * Returns the rules for comparing two runtimes: first the user's, then those for these runtimes, then those for any two runtimes.
 * The first rule that applies to a place decides.
 */
export function rulesFor(a: Runtime, b: Runtime, users: readonly Rule[] = []): readonly Rule[] {
  const names = [...new Set([a.name, b.name].map((name) => name.toLowerCase()))];
  const shipped = names.flatMap((name) =>
    compiled(Object.hasOwn(SHIPPED, name) ? (SHIPPED[name] ?? []) : [], name),
  );
  return [...users, ...shipped, ...compiled(BASE_RULES, BASE)];
}

/**
 * Parses a file of rules (docs/harness.md).
 * @param source the name of the file in reports.
 * @throws INVALID_ARGUMENT that begins with the wrong key, such as `rules[3].path`.
 */
export function readRules(text: string, source: string): readonly Rule[] {
  const { rules } = fieldsOf(parsed(text), '', ['rules']);
  if (!Array.isArray(rules)) throw invalidArgument('rules', 'is not a list of rules');
  return (rules as readonly unknown[]).map((rule, at) => readRule(rule, source, `rules[${at}]`));
}

/** Returns whether a rule is one of dockbridge's rules for a runtime. */
export function isShipped({ source }: Rule): boolean {
  return Object.hasOwn(SHIPPED, source);
}

/** Compiles rules that are part of dockbridge, with the same checks as for a user's file. */
export function compiled(rules: readonly RuleText[], source: string): readonly Rule[] {
  return rules.map((rule, at) => readRule(rule, source, `rules[${at}]`));
}

function parsed(text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    throw invalidArgument('the file', `is not YAML: ${messageOf(error)}`);
  }
}

type Fields = Readonly<Record<string, unknown>>;
const NUMBERS = ['int32', 'uint32', 'int64', 'uint64', 'double', 'Int64Value', 'UInt64Value'];
type Fits = (row: FieldRow) => boolean;
/** The fields to which a kind of rule can apply, with a description for error messages. */
const KINDS: Readonly<Record<RuleKind, readonly [fits: Fits, what: string]>> = {
  ignore: [() => true, 'anything'],
  missing: [() => true, 'anything'],
  extra: [() => true, 'anything'],
  present: [() => true, 'anything'],
  id: [([, , type]) => type === 'string', 'text'],
  prefix: [([, , type]) => type === 'string', 'text'],
  time: [([, , type, kind]) => type === 'int64' && kind === 'one', 'times in nanoseconds'],
  range: [([, , type]) => NUMBERS.includes(type), 'numbers'],
  set: [([, , , kind]) => kind === 'list', 'lists'],
  names: [([, , type, kind]) => type === 'string' && kind === 'list', 'lists of texts'],
};

/** Returns whether a rule of this kind can also apply to the names of PSEUDO. */
export function isForAny(kind: RuleKind): boolean {
  return kind === 'ignore' || kind === 'missing' || kind === 'extra';
}

/** Returns whether a rule of this kind can apply to a field. A pattern can match both such fields and others. */
export function fitsKind(kind: RuleKind, row: FieldRow): boolean {
  return KINDS[kind][0](row);
}

const KIND_NAMES = Object.keys(KINDS) as readonly RuleKind[];

const KEYS = ['path', 'as', 'because', 'only', 'values', 'own', 'asked', 'ended', 'brief', 'space'];

function readRule(value: unknown, source: string, key: string): Rule {
  const fields = fieldsOf(value, key, KEYS);
  const path = text(fields.path, `${key}.path`);
  const as = KIND_NAMES.find((kind) => kind === fields.as);
  if (as === undefined)
    throw invalidArgument(`${key}.as`, `${shown(fields.as)} is not one of ${KIND_NAMES.join(', ')}`);
  const rulePath = pathIn(path, `${key}.path`);
  const [fits, what] = KINDS[as];
  if (!isForAny(as) && !rulePath.targets.some(fits))
    throw invalidArgument(`${key}.as`, `${as} applies to ${what}, but ${path} is something else`);
  const because = text(fields.because, `${key}.because`);
  const only = fieldsOf(fields.only ?? {}, `${key}.only`, ['a', 'b', 'any']);
  const runtime = (side: string): RuntimeMatch | undefined =>
    only[side] === undefined
      ? undefined
      : runtimeMatch(text(only[side], `${key}.only.${side}`), `${key}.only.${side}`);
  const space = fields.space === undefined ? undefined : text(fields.space, `${key}.space`);
  if (space !== undefined && as !== 'id')
    throw invalidArgument(`${key}.space`, 'is allowed only with `as: id`');
  if (fields.own !== undefined && only.any === undefined)
    throw invalidArgument(`${key}.own`, 'is allowed only with only.any');
  return {
    ...{ path, as, because, source, key, compiled: rulePath },
    ...(fields.only === undefined ? {} : { only }),
    ...(fields.values === undefined ? {} : { values: values(fields.values, `${key}.values`) }),
    ...(fields.own === undefined ? {} : { own: values(fields.own, `${key}.own`) }),
    ...(fields.asked === undefined ? {} : { asked: asked(fields.asked, `${key}.asked`) }),
    ...(fields.ended === undefined ? {} : { ended: flag(fields.ended, `${key}.ended`) }),
    ...(fields.brief === undefined ? {} : { brief: flag(fields.brief, `${key}.brief`) }),
    ...(space === undefined ? {} : { space }),
    runtimes: { a: runtime('a'), b: runtime('b'), any: runtime('any') },
  };
}

function pathIn(path: string, key: string): RulePath {
  try {
    return readPath(path);
  } catch (error) {
    throw invalidArgument(key, messageOf(error));
  }
}

function asked(value: unknown, key: string): string {
  const path = text(value, key);
  try {
    checkAsked(path);
  } catch (error) {
    throw invalidArgument(key, messageOf(error));
  }
  return path;
}

function values(value: unknown, key: string): readonly (string | number | boolean)[] {
  if (!Array.isArray(value) || value.length === 0) throw invalidArgument(key, 'is not a list of values');
  return (value as readonly unknown[]).map((one, at) => {
    if (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean') return one;
    throw invalidArgument(`${key}[${at}]`, `${shown(one)} is not text, a number, true or false`);
  });
}

function flag(value: unknown, key: string): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidArgument(key, `${shown(value)} is not true or false`);
}

function text(value: unknown, key: string): string {
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw invalidArgument(key, `${shown(value)} is not text`);
}

/** Checks that a value is a map with known keys only. @param key of the map; empty for the whole file. */
function fieldsOf(value: unknown, key: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidArgument(key === '' ? 'the file' : key, `is not a map with ${known.join(', ')}`);
  const strange = Object.keys(value).find((name) => !known.includes(name));
  if (strange === undefined) return value as Fields;
  const meant = nearest(strange, known);
  const hint = meant === undefined ? `the known keys are ${known.join(', ')}` : `is ${meant} meant?`;
  throw invalidArgument(key === '' ? strange : `${key}.${strange}`, `is unknown: ${hint}`);
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
