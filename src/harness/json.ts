import type { Json, JsonObject } from '../proto/fields';

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value if it is an object, and otherwise an empty object. */
export function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** Returns the objects in a list, and an empty list for any other value. */
export function objectsOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter(isObject) : [];
}

/** Returns the value if it is a non-empty text, and otherwise undefined. */
export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Returns a copy of the value in which each text is replaced by `map`. Keys stay as they are. */
export function mapTexts(value: Json, map: (text: string) => string): Json {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => mapTexts(item, map));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTexts(item, map)]));
}

/** Returns a text or a number as a text, and '' for any other value. */
export function asText(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Returns whether two values are equal. The order of keys in an object does not matter. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || canonical(a) === canonical(b);
}

/** Returns a text that is the same for all equal values. */
export function canonical(value: Json | undefined): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    isObject(part as Json)
      ? Object.fromEntries(
          Object.entries(part as JsonObject).sort(([one], [other]) => (one < other ? -1 : 1)),
        )
      : part,
  );
}

/** Returns a list as it is, and an empty list for any other value. */
export function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** Returns a scalar as a text, and '' for any other value. */
export function scalarText(value: Json | undefined): string {
  return value === undefined || value === null || typeof value === 'object' ? '' : String(value);
}

/** The text that replaces a secret on a tape. In a URL, it follows the host. */
const HIDDEN = /^(?:[^/]*\/)?hidden:[\da-f]{16}$/;

export function isHidden(value: Json | undefined): boolean {
  return typeof value === 'string' && HIDDEN.test(value);
}
