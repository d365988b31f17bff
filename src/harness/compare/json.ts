import type { Json, JsonObject } from '../../proto/fields';

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

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

export function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
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
