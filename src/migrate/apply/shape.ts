import { isObject } from '../../lib/json';

/** Reads a value of unknown origin. @param path where the value stands, such as `steps[3].check[0].command`. @throws Error with the path. */
export type Read<T> = (value: unknown, path: string) => T;

function wrong(path: string, what: string): Error {
  return new Error(`plan.json: ${path === '' ? 'the file' : path} ${what}`);
}

export const text: Read<string> = (value, path) => {
  if (typeof value !== 'string') throw wrong(path, 'is not a text');
  return value;
};

/** Reads a text that is not empty and has no NUL, which neither a path nor a command may have. */
export const word: Read<string> = (value, path) => {
  const found = text(value, path);
  if (found === '' || found.includes('\0')) throw wrong(path, 'is empty or has a NUL');
  return found;
};

export const flag: Read<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw wrong(path, 'is neither true nor false');
  return value;
};

/** Reads a number of seconds. */
export const seconds: Read<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_SECONDS)
    throw wrong(path, `is not a number of seconds from 0 to ${MAX_SECONDS}`);
  return value;
};
/** A week, which a timer can still hold. */
const MAX_SECONDS = 604_800;

export const hash: Read<string> = (value, path) => {
  const found = text(value, path);
  if (!/^[0-9a-f]{64}$/.test(found)) throw wrong(path, 'is not a SHA-256');
  return found;
};

export function oneOf<T extends string>(...choices: readonly T[]): Read<T> {
  return (value, path) => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw wrong(path, `is none of ${choices.join(', ')}`);
    return found;
  };
}

export function matching(pattern: RegExp, what: string): Read<string> {
  return (value, path) => {
    const found = text(value, path);
    if (!pattern.test(found)) throw wrong(path, `is not ${what}`);
    return found;
  };
}

export function orNull<T>(read: Read<T>): Read<T | null> {
  return (value, path) => (value === null ? null : read(value, path));
}

export function list<T>(read: Read<T>): Read<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, 'is not a list');
    return value.map((one: unknown, at) => read(one, `${path}[${at}]`));
  };
}

/** Reads an object with any keys. */
export function record<T>(read: Read<T>): Read<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (!isObject(value)) throw wrong(path, 'is not an object');
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, read(one, `${path}["${key}"]`)]),
    );
  };
}

/** Reads an object that has exactly these keys. */
export function shape<T extends object>(keys: { readonly [Key in keyof T]: Read<T[Key]> }): Read<T> {
  return (value, path) => {
    if (!isObject(value)) throw wrong(path, 'is not an object');
    const at = (key: string): string => (path === '' ? key : `${path}.${key}`);
    const unknown = Object.keys(value).find((key) => !Object.hasOwn(keys, key));
    if (unknown !== undefined) throw wrong(at(unknown), 'is not known to this version of dockbridge');
    const missing = Object.keys(keys).find((key) => !Object.hasOwn(value, key));
    if (missing !== undefined) throw wrong(at(missing), 'is missing');
    const entries = Object.entries<Read<unknown>>(keys).map(([key, read]) => [
      key,
      read(value[key], at(key)),
    ]);
    return Object.fromEntries(entries) as T;
  };
}
