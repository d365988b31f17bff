import { DESCRIPTORS, type FieldRow } from '../../proto/descriptors';
import type { JsonObject } from '../../proto/fields';
import { nearest } from '../../lib/nearest';
import { METHOD_NAMES } from '../methods';
import { matcher } from '../pattern';

/** The position of a value: the path that leads to it from the message of its call. */
export interface Place {
  readonly method: string;
  readonly side: 'request' | 'response';
  readonly steps: readonly Step[];
  /**
   * The request of the call, for rules with `asked`. If a call was repeated, as polls are, this is the first request. If undefined,
   * rules with `asked` do not apply.
   */
  readonly request?: JsonObject | undefined;
  /** Whether the side without a list item reported at that time that the container was running, for rules with `ended`. */
  readonly isRunning?: boolean;
}

export interface Step {
  /** The type of the message that has the field. */
  readonly message: string;
  readonly field: string;
  /** The key of a map entry or of a list item. */
  readonly key?: string | undefined;
}

/** Names of things that are not fields. A rule can have one of them at the end of its path, in place of a field. */
export const PSEUDO = {
  /** The status code of an answer. */
  status: '@status',
  /** The existence of a call. */
  call: '@call',
  /** The existence of a list item. */
  item: '@item',
  /** The states that polled answers report. */
  state: '@state',
  /** The existence of an event. */
  event: '@event',
  /** The order of the times in a message. A side whose times are out of order has no value here. */
  order: '@order',
  /** Fields that the proto does not know, and messages that are unreadable or missing. */
  unknown: '@unknown',
} as const;
const PSEUDO_NAMES: readonly string[] = Object.values(PSEUDO);

interface Segment {
  readonly name: string;
  readonly matches: (field: string) => boolean;
  readonly key: ((key: string) => boolean) | undefined;
}

/** The compiled path of a rule. */
export interface RulePath {
  readonly segments: readonly Segment[];
  /** Returns whether the path matches a place. */
  readonly matches: (place: Place) => boolean;
  /** Returns whether the path matches a place if keys are ignored. */
  readonly matchesFields: (place: Place) => boolean;
  /** The fields that the end of the path names, one for each message that has such a field. Empty for a name of PSEUDO. */
  readonly targets: readonly FieldRow[];
}

/** Returns a place in the notation of reports and rules. */
export function pathOf({ method, side, steps }: Place): string {
  const fields = steps.map(({ field, key }) => (key === undefined ? field : `${field}[${key}]`));
  return [method, ...(side === 'request' ? ['request'] : []), ...fields].join('.');
}

/**
 * Compiles the path of a rule (docs/harness.md). The path begins with a pattern of methods (for their answers, or for their requests if
 * `request` follows), with a CRI message, or with `*` for any place. If a word is both a method and a message, such as ContainerStatus,
 * the one that has the next field is meant.
 * @throws Error that says what is wrong with the path.
 */
export function readPath(text: string): RulePath {
  const [head, ...rest] = segmentsOf(text);
  if (head === undefined || head.key !== undefined)
    throw new Error(`"${text}" is not a path such as ContainerStatus.status.reason`);
  if (head.name === '*') return anyPath(rest, text);
  const isMethod = METHOD_NAMES.some(head.matches);
  const isMessage = Object.hasOwn(DESCRIPTORS.messages, head.name);
  if (!isMethod && !isMessage) {
    const meant = nearest(head.name, [...METHOD_NAMES, ...Object.keys(DESCRIPTORS.messages)]);
    throw new Error(
      `CRI has no method or message ${head.name}${meant === undefined ? '' : `: is ${meant} meant?`}`,
    );
  }
  if (rest.length === 0) throw new Error(`"${text}" names no field`);
  if (isMethod && (!isMessage || hasField(head, rest))) return methodPath(head, rest);
  return messagePath(head.name, rest);
}

/** Checks that the request of at least one CRI method has this field. @throws Error that says what is wrong. */
export function checkAsked(text: string): void {
  const types = Object.values(DESCRIPTORS.services).flatMap((methods) => Object.values(methods));
  targetsOf([...new Set(types.map(([request]) => request))], segmentsOf(text));
}

function segmentsOf(text: string): readonly Segment[] {
  const parts = [...text.matchAll(/(?:^|\.)([\w@*?]+)(?:\[([^\]]+)\])?/g)];
  if (parts.map(([part]) => part).join('') !== text)
    throw new Error(`"${text}" is not a path such as ContainerStatus.status.reason`);
  return parts.map(([, name = '', key]) => ({
    ...{ name, matches: matcher(name) },
    key: key === undefined ? undefined : matcher(key),
  }));
}

/** Returns whether the segment after a method is `request` or a field of the method's answer. */
function hasField(method: Segment, [field]: readonly Segment[]): boolean {
  try {
    return (
      field?.name === 'request' || (field !== undefined && methodPath(method, [field]).segments.length > 0)
    );
  } catch {
    return false;
  }
}

function methodPath(head: Segment, rest: readonly Segment[]): RulePath {
  const isRequest = rest[0]?.name === 'request';
  const segments = isRequest ? rest.slice(1) : rest;
  const side = isRequest ? 'request' : 'response';
  if (segments.length === 0) throw new Error('names no field of the request');
  const types = Object.values(DESCRIPTORS.services)
    .flatMap((methods) => Object.entries(methods))
    .filter(([method]) => head.matches(method))
    .map(([, [request, response]]) => (isRequest ? request : response));
  const matchesWith =
    (keys: boolean) =>
    ({ method, side: of, steps }: Place): boolean =>
      of === side &&
      steps.length === segments.length &&
      head.matches(method) &&
      endsWith(steps, segments, keys);
  return {
    ...{ segments, targets: targetsOf(types, segments) },
    ...{ matches: matchesWith(true), matchesFields: matchesWith(false) },
  };
}

function messagePath(message: string, segments: readonly Segment[]): RulePath {
  const matchesWith =
    (keys: boolean) =>
    ({ steps }: Place): boolean =>
      steps.at(-segments.length)?.message === message && endsWith(steps, segments, keys);
  return {
    ...{ segments, targets: targetsOf([message], segments) },
    ...{ matches: matchesWith(true), matchesFields: matchesWith(false) },
  };
}

function anyPath(segments: readonly Segment[], text: string): RulePath {
  if (segments.every(({ name }) => name === '*')) throw new Error(`"${text}" names no field`);
  return {
    ...{ segments, targets: targetsOf(Object.keys(DESCRIPTORS.messages), segments) },
    matches: ({ steps }) => endsWith(steps, segments, true),
    matchesFields: ({ steps }) => endsWith(steps, segments, false),
  };
}

function endsWith(steps: readonly Step[], segments: readonly Segment[], keys: boolean): boolean {
  if (steps.length < segments.length) return false;
  const from = steps.length - segments.length;
  return segments.every(({ matches, key }, at) => {
    const step = steps[from + at];
    if (step === undefined || !matches(step.field)) return false;
    return !keys || key === undefined || (step.key !== undefined && key(step.key));
  });
}

/** Returns the fields at the end of a path that begins in one of these messages. @throws Error if there is none. */
function targetsOf(messages: readonly string[], segments: readonly Segment[]): readonly FieldRow[] {
  let types = messages;
  let rows: readonly FieldRow[] = [];
  for (const [at, { name, matches }] of segments.entries()) {
    if (PSEUDO_NAMES.includes(name)) {
      if (at < segments.length - 1) throw new Error(`${name} is not the end of the path`);
      return [];
    }
    const fields = types.flatMap((type) => DESCRIPTORS.messages[type] ?? []);
    rows = fields.filter(([, field]) => matches(field));
    if (rows.length === 0) {
      const meant = nearest(name, [...fields.map(([, field]) => field), ...PSEUDO_NAMES]);
      const owner = types.length === 1 ? (types[0] ?? '') : 'none of the messages there';
      throw new Error(
        `${owner} has ${types.length === 1 ? 'no field' : 'a field'} ${name}${meant === undefined ? '' : `: is ${meant} meant?`}`,
      );
    }
    types = [...new Set(rows.map(([, , type]) => type))];
  }
  return rows;
}
