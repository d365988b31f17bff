import { parse } from 'yaml';
import { duration } from '../../config/parsers';
import { LONGEST_TIMER_MS } from '../../lib/async/deadline';
import { invalidArgument, messageOf } from '../../lib/errors';
import { nearest } from '../../lib/nearest';
import { METHOD_NAMES } from '../methods';
import { matcher } from '../pattern';
import { CODES } from '../proxy/status';

export interface Failure {
  readonly code: string;
  readonly text: string;
}

export type Fault =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'error'; readonly failure: Failure }
  | { readonly kind: 'hang' }
  | { readonly kind: 'lose_answer'; readonly failure: Failure }
  | { readonly kind: 'drop_connection' }
  | { readonly kind: 'cut'; readonly after: number }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'stale'; readonly ms: number }
  | { readonly kind: 'restart'; readonly ms: number };

/** The conditions of a rule. A rule applies to a call that meets all given conditions. */
export interface Match {
  /** Shell patterns. */
  readonly method: string;
  readonly pod: string | undefined;
  /** The rule applies only to this call among those that match `method` and `pod`, counted from 1. */
  readonly nth: number | undefined;
  /** The rule applies to each call whose number is a multiple of this. */
  readonly every: number | undefined;
  /** The rule applies to a call with this probability, from 0 to 1. */
  readonly probability: number | undefined;
}

export interface Rule {
  readonly match: Match;
  readonly fault: Fault;
}

type Fields = Readonly<Record<string, unknown>>;
type Read<T> = (value: unknown, key: string) => T;

/**
 * Parses a plan of faults (docs/harness.md).
 * @throws INVALID_ARGUMENT that begins with the wrong key, such as `faults[2].match.every`.
 */
export function readPlan(text: string): readonly Rule[] {
  const plan = fieldsOf(parsed(text), 'the plan', ['faults']);
  const { faults } = plan;
  if (!Array.isArray(faults) || faults.length === 0)
    throw invalidArgument('faults', 'is not a list of faults');
  return (faults as readonly unknown[]).map((rule, at) => readRule(rule, `faults[${at}]`));
}

function parsed(text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    throw invalidArgument('the plan', `is not YAML: ${messageOf(error)}`);
  }
}

const FAULTS: Readonly<Record<string, Read<Fault>>> = {
  delay: (value, key) => ({ kind: 'delay', ms: time(value, key) }),
  error: (value, key) => ({ kind: 'error', failure: failure(value, key) }),
  hang: (value, key) => ({ kind: 'hang', ...yes(value, key) }),
  lose_answer: (value, key) => ({ kind: 'lose_answer', failure: failure(value, key) }),
  drop_connection: (value, key) => ({ kind: 'drop_connection', ...yes(value, key) }),
  cut: (value, key) => ({
    kind: 'cut',
    after: count(0)(fieldsOf(value, key, ['after']).after, `${key}.after`),
  }),
  duplicate: (value, key) => ({ kind: 'duplicate', ...yes(value, key) }),
  stale: (value, key) => ({ kind: 'stale', ms: time(value, key) }),
  restart: (value, key) => ({ kind: 'restart', ms: time(value, key) }),
};
const KINDS = Object.keys(FAULTS);
/** The key of a comment for people who read the plan. */
const BECAUSE = 'because';

function readRule(value: unknown, key: string): Rule {
  const fields = fieldsOf(value, key, ['match', BECAUSE, ...KINDS]);
  const given = KINDS.filter((kind) => kind in fields);
  const [kind] = given;
  const read = kind === undefined ? undefined : FAULTS[kind];
  if (kind === undefined || read === undefined || given.length > 1)
    throw invalidArgument(
      key,
      `has ${given.join(' and ') || 'no fault'}: give exactly one of ${KINDS.join(', ')}`,
    );
  return {
    match: readMatch(fields.match ?? {}, `${key}.match`),
    fault: read(fields[kind], `${key}.${kind}`),
  };
}

function readMatch(value: unknown, key: string): Match {
  const fields = fieldsOf(value, key, ['method', 'pod', 'nth', 'every', 'probability']);
  const given = <T>(name: string, read: Read<T>): T | undefined =>
    fields[name] === undefined ? undefined : read(fields[name], `${key}.${name}`);
  return {
    method: given('method', method) ?? '*',
    pod: given('pod', text),
    nth: given('nth', count(1)),
    every: given('every', count(1)),
    probability: given('probability', probability),
  };
}

const text: Read<string> = (value, key) => {
  if (typeof value === 'string' && value !== '') return value;
  throw invalidArgument(key, `${shown(value)} is not text`);
};

const method: Read<string> = (value, key) => {
  const pattern = text(value, key);
  if (METHOD_NAMES.some(matcher(pattern))) return pattern;
  const meant = nearest(pattern, METHOD_NAMES);
  throw invalidArgument(
    key,
    `CRI has no method ${pattern}${meant === undefined ? '' : `: is ${meant} meant?`}`,
  );
};

function count(least: number): Read<number> {
  return (value, key) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least) return value;
    throw invalidArgument(key, `${shown(value)} is not an integer of at least ${least}`);
  };
}

const probability: Read<number> = (value, key) => {
  if (typeof value === 'number' && value >= 0 && value <= 1) return value;
  throw invalidArgument(key, `${shown(value)} is not a number from 0 to 1`);
};

const time: Read<number> = (value, key) => {
  if (typeof value !== 'string')
    throw invalidArgument(key, `${shown(value)} is not a time such as 250ms, 30s or 5m`);
  const ms = duration(value, key);
  if (ms <= LONGEST_TIMER_MS) return ms;
  throw invalidArgument(key, `"${value}" is longer than ${Math.floor(LONGEST_TIMER_MS / 3_600_000)} hours`);
};

function yes(value: unknown, key: string): object {
  if (value === true) return {};
  throw invalidArgument(key, `${shown(value)} is not true`);
}

/** Reads `UNAVAILABLE` or `{code: UNAVAILABLE, text: …}`. */
const failure: Read<Failure> = (value, key) => {
  if (typeof value === 'string')
    return { code: code(value, key), text: 'dockbridge cri fault injected this error' };
  const fields = fieldsOf(value, key, ['code', 'text']);
  return { code: code(fields.code, `${key}.code`), text: text(fields.text, `${key}.text`) };
};

const ERRORS = CODES.filter((name) => name !== 'OK');

const code: Read<string> = (value, key) => {
  if (typeof value === 'string' && ERRORS.includes(value)) return value;
  throw invalidArgument(key, `${shown(value)} is not one of ${ERRORS.join(', ')}`);
};

function fieldsOf(value: unknown, key: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidArgument(key, `is not a map with ${known.join(', ')}`);
  const strange = Object.keys(value).find((name) => !known.includes(name));
  if (strange === undefined) return value as Fields;
  const meant = nearest(strange, known);
  const hint = meant === undefined ? `the known keys are ${known.join(', ')}` : `is ${meant} meant?`;
  throw invalidArgument(key === 'the plan' ? strange : `${key}.${strange}`, `is unknown: ${hint}`);
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
