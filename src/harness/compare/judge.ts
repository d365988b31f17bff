import { isIP } from 'node:net';
import type { Json } from '../../proto/fields';
import type { Bijection } from './bijection';
import { canonical, isObject, listOf, same, scalarText } from '../json';
import { shortName } from './image-names';
import { pathOf, type Place } from './path';
import type { Rule } from './rule';

/** Returns a sentence that says how two values violate a rule; undefined if they do not. */
export function judge(
  rule: Rule,
  a: Json | undefined,
  b: Json | undefined,
  place: Place,
  ids: Bijection,
): string | undefined {
  switch (rule.as) {
    case 'ignore':
    case 'missing':
    case 'extra':
      return undefined;
    case 'present':
      return present(a, b);
    case 'time':
      return zero(a) === zero(b) ? undefined : `${zero(a) ? 'A' : 'B'} has no time here`;
    case 'range':
      return range(a, b);
    case 'prefix':
      return prefix(scalarText(a), scalarText(b));
    case 'set':
      return sorted(a) === sorted(b) ? undefined : 'the lists do not have the same items';
    case 'names':
      return names(a) === names(b) ? undefined : 'the lists do not name the same images';
    case 'id':
      return id(rule, a, b, place, ids);
  }
}

function present(a: Json | undefined, b: Json | undefined): string | undefined {
  if (isSet(a) !== isSet(b)) return `only ${isSet(a) ? 'A' : 'B'} has a value`;
  if (typeof a !== 'string' || typeof b !== 'string') return undefined;
  if (isIP(a) !== isIP(b)) return 'the addresses are not of the same family';
  if (schemeOf(a) !== schemeOf(b)) return 'the URLs do not have the same scheme';
  return undefined;
}

function schemeOf(text: string): string {
  return /^([a-z][\w+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase() ?? '';
}

/** Returns whether a field has a value. A proto3 default is no value; an empty message is one. */
export function isSet(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) || !zero(value);
}

/** Returns whether a value equals the proto3 default of a missing field. */
function zero(value: Json | undefined): boolean {
  return value === undefined || value === '0' || value === 0 || value === '' || value === false;
}

/** A missing number is not 0 here, because the value is undefined only for a wrapper message such as UInt64Value. */
function range(a: Json | undefined, b: Json | undefined): string | undefined {
  if ((a === undefined) !== (b === undefined)) return `${a === undefined ? 'A' : 'B'} has no number`;
  for (const [side, value] of [
    ['A', a],
    ['B', b],
  ] as const)
    if (!(Number(value ?? 0) >= 0)) return `${side}'s number is negative, or not a number`;
  return undefined;
}

function prefix(a: string, b: string): string | undefined {
  return a.startsWith(b) || b.startsWith(a) ? undefined : 'neither text begins with the other';
}

function names(list: Json | undefined): string {
  return sorted(listOf(list).map((name) => shortName(scalarText(name))));
}

function sorted(list: Json | undefined): string {
  return JSON.stringify(listOf(list).map(canonical).sort());
}

function id(
  { space = 'id' }: Rule,
  a: Json | undefined,
  b: Json | undefined,
  place: Place,
  ids: Bijection,
): string | undefined {
  if (Array.isArray(a) || Array.isArray(b)) {
    const [ofA, ofB] = [listOf(a), listOf(b)];
    if (ofA.length !== ofB.length)
      return `the lists have different lengths: ${ofA.length} in A, ${ofB.length} in B`;
    return ofA.map((one, at) => idOf(space, one, ofB[at], place, ids)).find((why) => why !== undefined);
  }
  return idOf(space, a, b, place, ids);
}

function idOf(
  space: string,
  a: Json | undefined,
  b: Json | undefined,
  place: Place,
  ids: Bijection,
): string | undefined {
  if (zero(a) || zero(b)) return same(a ?? '', b ?? '') ? undefined : `only ${zero(a) ? 'B' : 'A'} has an id`;
  return ids.bind(space, scalarText(a), scalarText(b), pathOf(place));
}
