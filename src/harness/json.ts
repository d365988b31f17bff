import type { Json, JsonObject } from '../proto/fields';

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value if it is an object, else an empty object. */
export function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** The objects in a list; an empty list for any other value. */
export function objectsOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter(isObject) : [];
}

/** The value if it is a text that is not empty. */
export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The same value with other texts; keys stay as they are. */
export function mapTexts(value: Json, map: (text: string) => string): Json {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => mapTexts(item, map));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, map)]));
}

/** A text or a number as a text; else an empty one. */
export function asText(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Whether two values are equal; the order of names in an object means nothing. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || canonical(a) === canonical(b);
}

/** One text for equal values. */
export function canonical(value: Json | undefined): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    isObject(part as Json)
      ? Object.fromEntries(
          Object.entries(part as JsonObject).sort(([one], [other]) => (one < other ? -1 : 1)),
        )
      : part,
  );
}

/** A list as it is; an empty one for any other value. */
export function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** A scalar as text; '' for anything else. */
export function scalarText(value: Json | undefined): string {
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value);
}

/** What a tape has in place of a secret: alone, or behind the host of an address. */
const HIDDEN = /^(?:[^/]*\/)?hidden:[\da-f]{16}$/;

export function isHidden(value: Json | undefined): boolean {
  return typeof value === 'string' && HIDDEN.test(value);
}
