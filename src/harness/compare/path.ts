import { DESCRIPTORS, type FieldRow } from '../../proto/descriptors';
import type { JsonObject } from '../../proto/fields';
import { nearest } from '../../lib/nearest';
import { METHOD_NAMES } from '../methods';
import { matcher } from '../pattern';

/** Where a value stands: the way from the message of a call to it. */
export interface Place {
  readonly method: string;
  readonly side: 'request' | 'response';
  readonly steps: readonly Step[];
  /** The request of the call, or of one of the polls; undefined where rules cannot depend on it. */
  readonly request?: JsonObject | undefined;
}

export interface Step {
  /** The message that has the field. */
  readonly message: string;
  readonly field: string;
  /** The key of an entry of a map, or what an item of a list is known by. */
  readonly key?: string | undefined;
}

/** Names for what is not a field. A rule names them at the end of its path, as if they were fields. */
export const PSEUDO = {
  /** The code of an answer. */
  status: '@status',
  /** That a side has the call at all. */
  call: '@call',
  /** That a side has an item of a list. */
  item: '@item',
  /** The states that polled answers tell. */
  state: '@state',
  /** That a side has an event. */
  event: '@event',
  /** That the times of a message are in their order; a side whose times are not has nothing here. */
  order: '@order',
  /** Fields that the proto does not know. */
  unknown: '@unknown',
} as const;
const PSEUDO_NAMES: readonly string[] = Object.values(PSEUDO);

interface Segment {
  readonly name: string;
  readonly matches: (field: string) => boolean;
  readonly key: ((key: string) => boolean) | undefined;
}

/** A path of a rule. */
export interface RulePath {
  readonly segments: readonly Segment[];
  /** Whether a place is meant. */
  readonly matches: (place: Place) => boolean;
  /** Whether a place is meant but for its keys. */
  readonly matchesFields: (place: Place) => boolean;
  /** The last fields that are meant: those of different messages may have different types. Empty for a pseudo field. */
  readonly targets: readonly FieldRow[];
}

/** How a place is written, in reports and in rules. */
export function pathOf({ method, side, steps }: Place): string {
  const fields = steps.map(({ field, key }) => (key === undefined ? field : `${field}[${key}]`));
  return [method, ...(side === 'request' ? ['request'] : []), ...fields].join('.');
}

/**
 * Reads the path of a rule. It begins with a method (a pattern; its answer is meant, or its request if `request` follows), with
 * a message of CRI, wherever it stands, or with `*`, which is any place. A word that is both, such as ContainerStatus, is
 * what has the next field.
 * @throws Error which says what is wrong.
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

/** Checks that requests of a method of CRI have a field. @throws Error which says what is wrong. */
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

/** Whether the field after a method is one of its answer, which says what a word means that is a message too. */
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

/** The fields at the end of a path that begins in one of these messages. @throws Error when there is none. */
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
