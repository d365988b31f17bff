import { isIPv6 } from 'node:net';
import { invalidArgument } from '../lib/errors';
import { LOG_LEVELS, type LogLevel } from '../lib/logger';

/** Parses an option's text. Throws INVALID_ARGUMENT naming `source` (the flag or the variable). */
export type Parse<T> = (value: string, source: string) => T;

export const text: Parse<string> = (value) => value;

/** Parses a comma-separated list, which may be empty. */
export const anyList: Parse<readonly string[]> = (value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** Parses a comma-separated list with at least one element. */
export const list: Parse<readonly string[]> = (value, source) => {
  const items = anyList(value, source);
  if (items.length === 0) throw invalidArgument(source, 'is empty');
  return items;
};

/** Parses a boolean. Accepts all spellings that Go accepts, because kubespray gives cri-dockerd `--ipv6-dual-stack=True`. */
export const flag: Parse<boolean> = (value, source) => {
  if (['true', 'True', 'TRUE', 't', 'T', '1'].includes(value)) return true;
  if (['false', 'False', 'FALSE', 'f', 'F', '0'].includes(value)) return false;
  throw invalidArgument(source, `"${value}" is neither true nor false`);
};

export function integerIn(min: number, max: number): Parse<number> {
  return (value, source) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    throw invalidArgument(source, `"${value}" is not a whole number from ${min} to ${max}`);
  };
}

export function oneOf<Word extends string>(...words: readonly Word[]): Parse<Word> {
  return (value, source) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw invalidArgument(source, `"${value}" is none of ${words.join(', ')}`);
    return found;
  };
}

/** Parses a size in the Engine's notation: a number of bytes, or a number with k, m or g. */
export const size: Parse<string> = (value, source) => {
  if (/^[1-9]\d*[kmg]?$/.test(value)) return value;
  throw invalidArgument(source, `"${value}" is not a size such as 16m`);
};

/** Parses a log level. Also accepts cri-dockerd's names: `warning` means warn, `fatal` and `panic` mean error. */
export const logLevel: Parse<LogLevel> = (value, source) => {
  const alias = { warning: 'warn', fatal: 'error', panic: 'error' }[value] ?? value;
  const level = LOG_LEVELS.find((name) => name === alias);
  if (level === undefined) throw invalidArgument(source, `"${value}" is none of ${LOG_LEVELS.join(', ')}`);
  return level;
};

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Parses a duration in Go's notation (`1m59s`, `250ms`, `0`) and returns milliseconds. */
export const duration: Parse<number> = (value, source) => {
  if (value === '0') return 0;
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== value) {
    throw invalidArgument(source, `"${value}" is not a time such as 1m30s`);
  }
  return parts.reduce(
    (total, [, number = '0', unit = 's']) => total + Number(number) * (UNIT_MS[unit] ?? 0),
    0,
  );
};

export interface BindAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Parses `host:port`, `[v6]:port`, `:port` or ''. Without a host the address is loopback and never all interfaces, because only
 * a token protects the server.
 */
export const bindAddress: Parse<BindAddress> = (value, source) => {
  const [, v6, host, port = '0'] =
    /^(?:\[([\da-fA-F:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(value === '' ? ':0' : value) ?? [];
  if ((v6 ?? host) === undefined || Number(port) > 65_535) {
    throw invalidArgument(source, `"${value}" is not an address such as 127.0.0.1:10010`);
  }
  return { host: v6 ?? (host === '' ? '127.0.0.1' : (host ?? '')), port: Number(port) };
};

/** Like `bindAddress`, but a host alone means any free port, as with cri-dockerd. */
export const streamingAddress: Parse<BindAddress> = (value, source) => {
  if (isIPv6(value)) return { host: value, port: 0 };
  // A number alone is refused, because it is more likely a port whose colon was forgotten.
  const isHost = /^(?:[\w.-]+|\[[\da-fA-F:]+\])$/.test(value) && !/^\d+$/.test(value);
  return bindAddress(isHost ? `${value}:0` : value, source);
};

/** Like `bindAddress`, but '' means that nothing listens. */
export const anyBindAddress: Parse<BindAddress | undefined> = (value, source) =>
  value === '' ? undefined : bindAddress(value, source);

export type LocalAddress = BindAddress | { readonly path: string } | 'off' | 'run-dir';

/** Parses `off`, `run-dir` (a socket in that directory), `unix:///path`, or an address like `bindAddress`. */
export const localAddress: Parse<LocalAddress> = (value, source) => {
  if (value === 'off' || value === 'run-dir') return value;
  const [, path] = /^unix:\/\/(\/.*[^/])$/.exec(value) ?? [];
  if (path !== undefined) return { path };
  if (value === '' || value.startsWith('unix:')) {
    throw invalidArgument(
      source,
      `"${value}" is none of off, run-dir, unix:///path and an address such as 127.0.0.1:9300`,
    );
  }
  return bindAddress(value, source);
};
