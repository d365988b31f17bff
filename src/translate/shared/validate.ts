import { invalidArgument } from '../../lib/errors';
import type { StringMap } from '../../store/records';

/** Kubernetes caps all annotations of an object at 256 KiB; labels are far smaller. Twice that is generous. */
const MAX_MAP_BYTES = 512 * 1024;

/** @throws INVALID_ARGUMENT naming `field` when the message is absent. */
export function required<T>(value: T | null | undefined, field: string): T {
  if (value === null || value === undefined) throw invalidArgument(field, 'is required');
  return value;
}

/** A string that must be there and may hold no NUL. */
export function nonEmpty(value: string, field: string): string {
  if (value === '') throw invalidArgument(field, 'is required');
  return withoutNul(value, field);
}

/** No system call takes a NUL inside a string; the Engine would cut or refuse it with a confusing text. */
export function withoutNul(value: string, field: string): string {
  if (value.includes('\0')) throw invalidArgument(field, 'contains a NUL character');
  return value;
}

/** Parts of an Engine container name: what the Engine's own name rule allows. */
export function namePart(value: string, field: string): string {
  nonEmpty(value, field);
  if (value.length > 253)
    throw invalidArgument(field, `has ${value.length} characters, at most 253 are allowed`);
  if (!/^[a-zA-Z0-9_.-]+$/.test(value)) {
    throw invalidArgument(field, `${JSON.stringify(value)} may hold only letters, digits, "_", "." and "-"`);
  }
  return value;
}

/** @throws INVALID_ARGUMENT when the enum does not have the number (CRI enums are open on the wire). */
export function oneOf(value: number, allowed: readonly number[], field: string, names: string): number {
  if (!allowed.includes(value)) throw invalidArgument(field, `unknown value ${value}, expected ${names}`);
  return value;
}

/** Labels or annotations: bounded, and free of NUL. */
export function boundedMap(map: StringMap, field: string): StringMap {
  let bytes = 0;
  for (const [key, value] of Object.entries(map)) {
    nonEmpty(key, `${field} key`);
    // As a key of an object it would set the prototype.
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

/** A Long or number of the wire that must fit a safe integer, optionally within bounds. */
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
