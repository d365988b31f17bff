import Long from 'long';
import type { DeviceIo, InterfaceReading, Pressure, PressureLine } from '../readings';

const NANOS_PER_MICRO = 1_000;

/**
 * Finds the value of a key in a file of `key value` lines (memory.stat, cpu.stat); undefined when the kernel does not report
 * the key.
 */
export function keyed(text: string, key: string): number | undefined {
  const value = valueText(text, key);
  return value === undefined ? undefined : Number(value);
}

/** Like `keyed`, for counters that may exceed 2^53. */
export function keyedLong(text: string, key: string): Long | undefined {
  const value = valueText(text, key);
  return value === undefined ? undefined : Long.fromString(value, true);
}

/**
 * Finds a key in the text without building a map of its forty lines, which would take several times as long. A hundred
 * containers may be read at once.
 */
function valueText(text: string, key: string): string | undefined {
  const at = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (at === 0 && !text.startsWith(`${key} `)) return undefined;
  const from = at + key.length + 1;
  const end = text.indexOf('\n', from);
  return text.slice(from, end === -1 ? undefined : end).trim();
}

/**
 * Returns the memory in use without inactive page cache, never less than 0.
 * @param inactive is read after `usage`, so it may be larger if the cache has grown in between.
 */
export function workingSet(usage: number, inactive: number | undefined): number {
  return Math.max(0, usage - (inactive ?? 0));
}

export function long(text: string | undefined): Long | undefined {
  const trimmed = text?.trim() ?? '';
  return /^\d+$/.test(trimmed) ? Long.fromString(trimmed, true) : undefined;
}

/**
 * Parses a pressure file. It has the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and one like it with `full`. `total`
 * is in microseconds.
 */
export function pressure(text: string | undefined): Pressure | undefined {
  if (text === undefined) return undefined;
  const some = pressureLine(text, 'some');
  const full = pressureLine(text, 'full');
  if (some === undefined && full === undefined) return undefined;
  return { ...(some && { some }), ...(full && { full }) };
}

function pressureLine(text: string, kind: string): PressureLine | undefined {
  const match = new RegExp(
    `^${kind} avg10=([\\d.]+) avg60=([\\d.]+) avg300=([\\d.]+) total=(\\d+)`,
    'm',
  ).exec(text);
  if (match === null) return undefined;
  const [, avg10, avg60, avg300, total = '0'] = match;
  return {
    totalNanos: Long.fromString(total, true).mul(NANOS_PER_MICRO),
    avg10: Number(avg10),
    avg60: Number(avg60),
    avg300: Number(avg300),
  };
}

/**
 * Parses v2's io.stat, which has lines like `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`. The line of a device that was never used
 * may have no values.
 */
export function ioStat(text: string): DeviceIo[] {
  return text.split('\n').flatMap((line) => {
    const [device = '', ...pairs] = line.trim().split(' ');
    const [major, minor] = device.split(':');
    if (major === undefined || minor === undefined || pairs.length === 0) return [];
    const values = new Map(pairs.map((pair) => pair.split('=') as [string, string]));
    const of = (name: string): number => Number(values.get(name) ?? 0);
    const [readBytes, writeBytes, reads, writes] = [of('rbytes'), of('wbytes'), of('rios'), of('wios')];
    return [{ major, minor, readBytes, writeBytes, reads, writes }];
  });
}

/** Parses v1's blkio files, which have lines like `8:0 Read 1`. One file has bytes, the other one operations. */
export function blkio(bytes: string, operations: string): DeviceIo[] {
  const read = (text: string): Map<string, number> => {
    const lines = text.matchAll(/^(\d+:\d+) (Read|Write) (\d+)$/gm);
    return new Map([...lines].map(([, device, kind, value]) => [`${device} ${kind}`, Number(value)]));
  };
  const [sizes, counts] = [read(bytes), read(operations)];
  const devices = new Set([...sizes.keys(), ...counts.keys()].map((key) => key.split(' ')[0] ?? ''));
  return [...devices].map((device) => {
    const [major = '', minor = ''] = device.split(':');
    return {
      major,
      minor,
      readBytes: sizes.get(`${device} Read`) ?? 0,
      writeBytes: sizes.get(`${device} Write`) ?? 0,
      reads: counts.get(`${device} Read`) ?? 0,
      writes: counts.get(`${device} Write`) ?? 0,
    };
  });
}

/**
 * Parses /proc/<pid>/net/dev, which has all interfaces of a network namespace, with IPv4 and IPv6 counted together. After two
 * lines of heading it has lines with the fields `name: rx bytes packets errs drop fifo frame compressed multicast, tx bytes
 * packets errs drop …`.
 */
export function parseNetDev(text: string): InterfaceReading[] {
  return text.split('\n').flatMap((line) => {
    // The last colon separates the name, because the name of an alias contains a colon.
    const colon = line.lastIndexOf(':');
    const values = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    if (colon === -1 || values.length < 12 || values.some(Number.isNaN)) return [];
    const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0, , , , , ...tx] = values;
    const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = tx;
    const name = line.slice(0, colon).trim();
    return [{ name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped }];
  });
}
