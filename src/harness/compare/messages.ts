import { DESCRIPTORS, type FieldRow } from '../../proto/descriptors';
import { isMessage, UNKNOWN, type Json, type JsonObject } from '../../proto/fields';
import type { Bijection } from './bijection';
import type { AllowedDifference, Difference } from './comparison';
import type { Identities } from './identities';
import { keyed } from './items';
import { canonical, isHidden, isObject, listOf, objectOf, same, scalarText } from '../json';
import { judge } from './judge';
import { pathOf, PSEUDO, type Place, type Step } from './path';
import { nameOf, type Rule } from './rule';
import type { RuleBook } from './rule-book';
import { BASE } from './rules';
import { UNREAD } from '../tape/lines';

/** What the comparison of one call has found. */
export interface Findings {
  readonly differences: Difference[];
  readonly allowed: AllowedDifference[];
  readonly notes: string[];
}

export interface Both<Value> {
  readonly a: Value;
  readonly b: Value;
}

/** The fields of a message that contain times. A later field must not have an earlier time. */
const IN_ORDER = ['created_at', 'started_at', 'finished_at'];
/** Messages that contain one number. They distinguish a missing number from 0. */
const WRAPPERS = ['Int64Value', 'UInt64Value'];

/** Compares messages field by field. The fields come from the descriptors, so a new field of the proto is compared without a change here. */
export class MessageComparer {
  /** How many values could not be compared because a tape hides them. */
  hidden = 0;

  constructor(
    private readonly book: RuleBook,
    private readonly ids: Bijection,
    private readonly identities: Both<Identities>,
  ) {}

  /** Compares two messages of the same type. A message that is undefined is treated as an empty one. */
  message(
    type: string,
    a: JsonObject | undefined,
    b: JsonObject | undefined,
    place: Place,
    into: Findings,
  ): void {
    const [ofA, ofB] = [a ?? {}, b ?? {}];
    if (UNREAD in ofA || UNREAD in ofB) {
      this.#unread(type, ofA, ofB, place, into);
      return;
    }
    const rows = DESCRIPTORS.messages[type] ?? [];
    for (const row of rows) this.#field(row, ofA, ofB, below(place, { message: type, field: row[1] }), into);
    if (UNKNOWN in ofA || UNKNOWN in ofB) this.#unknown(type, ofA[UNKNOWN], ofB[UNKNOWN], place, into);
    for (const [side, value] of [
      ['A', ofA],
      ['B', ofB],
    ] as const)
      this.#order(type, side, value, place, into);
  }

  /** Reports a difference in something that is not a field, such as a status, a call, or an item of a list, unless a rule allows it. */
  pseudo(
    name: (typeof PSEUDO)[keyof typeof PSEUDO],
    message: string,
    values: Both<Json | undefined>,
    place: Place,
    why: string,
    into: Findings,
  ): void {
    const { a, b } = values;
    const at = below(place, { message, field: name });
    const rule = this.book.find(at, undefined, a, b);
    if (rule === undefined) this.#differ(at, undefined, a, b, why, into);
    else this.#allow(rule, undefined, at, a, b, into);
  }

  #field(row: FieldRow, a: JsonObject, b: JsonObject, place: Place, into: Findings): void {
    const [, name, type, kind] = row;
    const [ofA, ofB] = [a[name], b[name]];
    if (ofA === undefined && ofB === undefined) return;
    if (kind === 'map') {
      this.#map(row, objectOf(ofA), objectOf(ofB), place, into);
    } else if (kind === 'list') {
      this.#list(row, ofA, ofB, place, into);
    } else if (WRAPPERS.includes(type)) {
      const note = isObject(ofA) !== isObject(ofB) && (valueOf(ofA) ?? valueOf(ofB)) === '0';
      if (note) this.#emptyNote(place, ofA, into);
      else this.#value(row, valueOf(ofA), valueOf(ofB), place, into);
    } else if (
      isMessage(type) &&
      (ofA === undefined || isObject(ofA)) &&
      (ofB === undefined || isObject(ofB))
    ) {
      const rule = this.book.find(place, row, ofA, ofB);
      if (rule !== undefined) {
        this.#ruled(rule, row, ofA, ofB, place, into);
        return;
      }
      if ((ofA === undefined || ofB === undefined) && same(ofA ?? {}, {}) && same(ofB ?? {}, {}))
        this.#emptyNote(place, ofA, into);
      this.message(type, ofA, ofB, place, into);
    } else {
      this.#value(row, ofA ?? defaultOf(type), ofB ?? defaultOf(type), place, into);
    }
  }

  #emptyNote(place: Place, a: Json | undefined, into: Findings): void {
    into.notes.push(
      `${pathOf(place)} is empty on ${a === undefined ? 'B' : 'A'} and missing on the other side`,
    );
  }

  #map(row: FieldRow, a: JsonObject, b: JsonObject, place: Place, into: Findings): void {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      this.#value(row, own(a, key), own(b, key), withKey(place, key), into);
  }

  #list(row: FieldRow, a: Json | undefined, b: Json | undefined, place: Place, into: Findings): void {
    const [, , type] = row;
    const rule = this.book.find(place, row, a ?? [], b ?? []);
    if (!isMessage(type) || (rule !== undefined && rule.as !== 'set')) {
      this.#value(row, a ?? [], b ?? [], place, into);
      return;
    }
    const [ofA, ofB] = [keyed(type, a, this.identities.a), keyed(type, b, this.identities.b)];
    const isSet = rule !== undefined;
    const [itemsA, itemsB] =
      isSet && !ofA.hasKeys ? [ofA.items, aligned(ofA.items, ofB.items)] : [ofA.items, ofB.items];
    let isWhole = true;
    for (const key of new Set([...itemsA.keys(), ...itemsB.keys()])) {
      const [itemA, itemB] = [itemsA.get(key), itemsB.get(key)];
      const at = withKey(place, key);
      if (itemA !== undefined && itemB !== undefined) this.message(type, itemA, itemB, at, into);
      else {
        isWhole = false;
        const only = itemA === undefined ? 'B' : 'A';
        this.pseudo(PSEUDO.item, type, { a: itemA, b: itemB }, at, `only ${only} has this item`, into);
      }
    }
    const [orderA, orderB] = [[...ofA.items.keys()], [...ofB.items.keys()]];
    const isOtherOrder = isWhole && !same(orderA, orderB);
    if (rule !== undefined) this.book.met(rule, isOtherOrder);
    else if (isOtherOrder)
      this.#differ(place, row, orderA, orderB, 'the items are in a different order', into);
  }

  #value(row: FieldRow, a: Json | undefined, b: Json | undefined, place: Place, into: Findings): void {
    const rule = this.book.find(place, row, a, b);
    if (rule !== undefined) this.#ruled(rule, row, a, b, place, into);
    else if (isHidden(a) || isHidden(b)) this.#hide(row, a, b, place, into);
    else if (isObject(a) || isObject(b)) this.#cut(row, a, b, place, into);
    else if (!same(a, b)) this.#differ(place, row, a, b, unequal(a, b), into);
  }

  #ruled(
    rule: Rule,
    row: FieldRow,
    a: Json | undefined,
    b: Json | undefined,
    place: Place,
    into: Findings,
  ): void {
    if (rule.as !== 'ignore' && a !== undefined && b !== undefined && (isHidden(a) || isHidden(b))) {
      this.book.met(rule, false);
      this.hidden++;
      return;
    }
    const why = judge(rule, a, b, place, this.ids);
    if (why === undefined) this.#allow(rule, row, place, a, b, into);
    else {
      this.book.met(rule, false);
      const near = { rule: `${nameOf(rule)} (${rule.path})`, why: `compares it as ${rule.as}` };
      into.differences.push({ path: pathOf(place), a, b, why, near });
    }
  }

  #hide(row: FieldRow, a: Json | undefined, b: Json | undefined, place: Place, into: Findings): void {
    if (a === undefined || b === undefined || a === '' || b === '')
      this.#differ(place, row, a, b, unequal(a, b), into);
    else this.hidden++;
  }

  /** Compares the outputs of commands, of which tapes may contain only the beginning and the length. */
  #cut(row: FieldRow, a: Json | undefined, b: Json | undefined, place: Place, into: Findings): void {
    const [ofA, ofB] = [outputOf(a), outputOf(b)];
    const length = Math.min(ofA.head.length, ofB.head.length);
    if (ofA.bytes !== ofB.bytes || !ofA.head.subarray(0, length).equals(ofB.head.subarray(0, length)))
      this.#differ(place, row, a, b, 'the outputs are not equal', into);
    else this.hidden++;
  }

  #unknown(type: string, a: Json | undefined, b: Json | undefined, place: Place, into: Findings): void {
    const [ofA, ofB] = [listOf(a), listOf(b)];
    if (ofA.length === ofB.length && [...ofA, ...ofB].some(isHidden)) this.hidden += ofA.length;
    else if (!same(ofA, ofB))
      this.pseudo(
        PSEUDO.unknown,
        type,
        { a, b },
        place,
        'fields that the proto does not know are not equal',
        into,
      );
  }

  /** Compares messages that could not be decoded: by the reason, the length and the bytes. */
  #unread(type: string, a: JsonObject, b: JsonObject, place: Place, into: Findings): void {
    const isUnknown = [a, b].some(({ bytes }) => bytes === undefined || isHidden(bytes));
    if (isUnknown && same({ ...a, bytes: '' }, { ...b, bytes: '' })) this.hidden++;
    else if (!same(a, b)) {
      const sides = [UNREAD in a ? 'A' : '', UNREAD in b ? 'B' : ''].filter((side) => side !== '');
      const why = `${sides.join(' and ')} could not be read`;
      this.pseudo(PSEUDO.unknown, type, { a, b }, place, why, into);
    }
  }

  #order(type: string, side: 'A' | 'B', value: JsonObject, place: Place, into: Findings): void {
    const times = IN_ORDER.flatMap((field) => {
      const time = value[field];
      return typeof time === 'string' && /^\d+$/.test(time) ? [{ field, time: BigInt(time) }] : [];
    });
    for (const [at, { field, time }] of times.entries()) {
      const before = times[at - 1];
      if (before === undefined || before.time <= time) continue;
      const kept = 'kept';
      const of = side === 'A' ? { a: undefined, b: kept } : { a: kept, b: undefined };
      this.pseudo(PSEUDO.order, type, of, place, `${side}'s ${before.field} is after ${field}`, into);
    }
  }

  #differ(
    place: Place,
    row: FieldRow | undefined,
    a: Json | undefined,
    b: Json | undefined,
    why: string,
    into: Findings,
  ): void {
    const near = this.book.nearMiss(place, row, a, b);
    into.differences.push({ path: pathOf(place), a, b, why, ...(near === undefined ? {} : { near }) });
  }

  #allow(
    rule: Rule,
    row: FieldRow | undefined,
    place: Place,
    a: Json | undefined,
    b: Json | undefined,
    into: Findings,
  ): void {
    const isNeeded = !same(a, b) && !this.#isEqualWithout(rule, row, place, a, b);
    this.book.met(rule, isNeeded);
    if (isNeeded && rule.source !== BASE)
      into.allowed.push({ path: pathOf(place), a, b, rule: nameOf(rule), because: rule.because });
  }

  /** Returns whether a later rule accepts the values too, so that this rule is not needed. For example, the base rules accept different ids. */
  #isEqualWithout(
    rule: Rule,
    row: FieldRow | undefined,
    place: Place,
    a: Json | undefined,
    b: Json | undefined,
  ): boolean {
    const next = this.book.find(place, row, a, b, rule);
    return next !== undefined && judge(next, a, b, place, this.ids) === undefined;
  }
}

export function below(place: Place, step: Step): Place {
  return { ...place, steps: [...place.steps, step] };
}

function withKey(place: Place, key: string): Place {
  const last = place.steps.at(-1);
  return last === undefined ? place : { ...place, steps: [...place.steps.slice(0, -1), { ...last, key }] };
}

/** Gives each item of B the key of an equal item of A. The other items of B get the remaining keys in order. */
function aligned(
  a: ReadonlyMap<string, JsonObject>,
  b: ReadonlyMap<string, JsonObject>,
): ReadonlyMap<string, JsonObject> {
  const left = new Map([...a].map(([key, item]) => [key, canonical(item)]));
  const out = new Map<string, JsonObject>();
  const rest: JsonObject[] = [];
  for (const item of b.values()) {
    const text = canonical(item);
    const [key] = [...left].find(([, other]) => other === text) ?? [];
    if (key === undefined) rest.push(item);
    else {
      out.set(key, item);
      left.delete(key);
    }
  }
  const keys = [...left.keys()];
  for (const [at, item] of rest.entries()) out.set(keys[at] ?? `more ${at - keys.length + 1}`, item);
  return out;
}

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Returns the number in a wrapper message; undefined if the message is missing. */
function valueOf(wrapper: Json | undefined): Json | undefined {
  return isObject(wrapper) ? (wrapper.value ?? '0') : wrapper;
}

/** Returns the value that proto3 defines for a missing field. */
function defaultOf(type: string): Json {
  const names = DESCRIPTORS.enums[type];
  if (names !== undefined) return names['0'] ?? 0;
  if (type === 'bool') return false;
  if (type === 'int64' || type === 'uint64') return '0';
  return type === 'string' || type === 'bytes' ? '' : 0;
}

function unequal(a: Json | undefined, b: Json | undefined): string {
  if (a === undefined) return 'only B has it';
  return b === undefined ? 'only A has it' : 'they are not equal';
}

function outputOf(value: Json | undefined): { readonly head: Buffer; readonly bytes: Json | undefined } {
  const { head, bytes } = objectOf(value);
  if (head !== undefined) return { head: Buffer.from(scalarText(head), 'base64'), bytes };
  const all = Buffer.from(scalarText(value), 'base64');
  return { head: all, bytes: all.length };
}
