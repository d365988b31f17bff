import { invalidArgument } from '../../lib/errors';
import type { StringMap } from '../../store/records';

/** Kubernetes limits all annotations of an object to 256 KiB, and labels are far smaller. This limit is twice as large. */
const MAX_MAP_BYTES = 512 * 1024;

/**
 * Returns a message that must be present.
 * @throws INVALID_ARGUMENT with the name of `field` when the message is absent.
 */
export function required<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined) throw invalidArgument(field, 'is required');
  return value;
}

/** Checks a string that must not be empty and must not contain a NUL. */
export function nonEmpty(value: string, field: string): string {
  if (value === '') throw invalidArgument(field, 'is required');
  return withoutNul(value, field);
}

/**
 * Refuses a NUL. No system call accepts a NUL inside a string, and the Engine would cut the string or refuse it with a
 * confusing error.
 */
export function withoutNul(value: string, field: string): string {
  if (value.includes('\0')) throw invalidArgument(field, 'contains a NUL character');
  return value;
}

/** Checks a part of an Engine container name by the Engine's own rule for names. */
export function namePart(value: string, field: string): string {
  nonEmpty(value, field);
  if (value.length > 253)
    throw invalidArgument(field, `has ${value.length} characters, at most 253 are allowed`);
  if (!/^[a-zA-Z0-9_.-]+$/.test(value)) {
    throw invalidArgument(
      field,
      `${JSON.stringify(value)} may contain only letters, digits, "_", "." and "-"`,
    );
  }
  return value;
}

/**
 * Returns an enum's number if it is allowed.
 * @throws INVALID_ARGUMENT when `allowed` lacks the number (CRI's enums are open on the wire).
 */
export function oneOf(value: number, allowed: readonly number[], field: string, names: string): number {
  if (!allowed.includes(value)) throw invalidArgument(field, `unknown value ${value}, expected ${names}`);
  return value;
}

/** Checks labels or annotations: their size is limited, and they must not contain a NUL. */
export function boundedMap(map: StringMap, field: string): StringMap {
  let bytes = 0;
  for (const [key, value] of Object.entries(map)) {
    nonEmpty(key, `${field} key`);
    // As a key of an object, this name would set the prototype.
    if (key === '__proto__') throw invalidArgument(field, 'the key "__proto__" is not allowed');
    withoutNul(key, `${field}[${JSON.stringify(key)}]`);
    withoutNul(value, `${field}[${JSON.stringify(key)}]`);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (bytes > MAX_MAP_BYTES) {
      throw invalidArgument(
        field,
        `keys and values exceed ${MAX_MAP_BYTES} bytes at key ${JSON.stringify(key.slice(0, 64))}`,
      );
    }
  }
  return map;
}

export function absolutePath(value: string, field: string): string {
  nonEmpty(value, field);
  if (!value.startsWith('/'))
    throw invalidArgument(field, `${JSON.stringify(value)} is not an absolute path`);
  return value;
}

/** Checks a Long or number from the wire. It must be a safe integer between `min` and `max`. */
export function integer(
  value: { toNumber(): number } | number,
  field: string,
  min: number,
  max: number,
): number {
  const number = typeof value === 'number' ? value : value.toNumber();
  if (!Number.isSafeInteger(number) || number < min || number > max) {
    throw invalidArgument(field, `${number} is not between ${min} and ${max}`);
  }
  return number;
}
