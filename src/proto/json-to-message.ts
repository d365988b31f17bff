import Long from 'long';
import { Writer } from 'protobufjs/minimal';
import { invalidArgument } from '../lib/errors';
import { DESCRIPTORS, type FieldRow } from './descriptors';
import { isMessage, UNKNOWN, type Json, type JsonObject } from './fields';

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;

/**
 * Converts proto3 JSON with the proto's field names to the bytes of a CRI message. This is the inverse of `toJson`. 64-bit
 * numbers are text or safe integers, enums are names or numbers, bytes are base64, and null counts as absent. Unknown fields
 * that `toJson` has kept come last.
 * @param message the message's name, such as `RunPodSandboxRequest`.
 * @param at the path of the whole message, for errors.
 * @throws INVALID_ARGUMENT with an error that begins with the path of the faulty value, such as `config.linux.cgroup_parent`.
 */
export function fromJson(message: string, json: Json, at = ''): Buffer {
  const writer = Writer.create();
  writeMessage(message, json, at, writer);
  return Buffer.from(writer.finish());
}

/** Returns the descriptors of a message's fields by name; undefined if the proto has no such message. */
export function fieldsByName(message: string): ReadonlyMap<string, FieldRow> | undefined {
  return BY_NAME.get(message);
}

function writeMessage(message: string, json: Json, at: string, writer: Writer): void {
  const fields = BY_NAME.get(message);
  if (fields === undefined) throw invalidArgument(at || message, `the proto has no message ${message}`);
  const object = objectOf(json);
  if (object === undefined) throw invalidArgument(at || message, `${shown(json)} is not an object`);
  for (const [name, value] of Object.entries(object)) {
    if (value === null || name === UNKNOWN) continue;
    const path = at === '' ? name : `${at}.${name}`;
    const field = fields.get(name);
    if (field === undefined)
      throw invalidArgument(
        path,
        `${message} has no such field; its fields: ${[...fields.keys()].join(', ') || 'none'}`,
      );
    writeField(field, value, path, writer);
  }
  for (const bytes of listOf(object[UNKNOWN] ?? [], `${at}.${UNKNOWN}`))
    writer.raw(bytesOf(bytes, `${at}.${UNKNOWN}`));
}

function writeField([number, , type, kind]: FieldRow, value: Json, at: string, writer: Writer): void {
  if (kind === 'map') {
    const entries = objectOf(value);
    if (entries === undefined) throw invalidArgument(at, `${shown(value)} is not an object`);
    for (const [key, one] of Object.entries(entries)) {
      writer.uint32(tag(number, LENGTH_DELIMITED)).fork();
      writer.uint32(tag(1, LENGTH_DELIMITED)).string(key);
      writeOne(2, type, one, `${at}[${JSON.stringify(key)}]`, writer);
      writer.ldelim();
    }
    return;
  }
  if (kind === 'one') {
    if (isMessage(type) || !isDefault(type, value)) writeOne(number, type, value, at, writer);
    return;
  }
  const items = listOf(value, at);
  if (isMessage(type) || wireOf(type) === LENGTH_DELIMITED) {
    for (const [index, item] of items.entries()) writeOne(number, type, item, `${at}[${index}]`, writer);
  } else if (items.length > 0) {
    writer.uint32(tag(number, LENGTH_DELIMITED)).fork();
    for (const [index, item] of items.entries()) writeScalar(type, item, `${at}[${index}]`, writer);
    writer.ldelim();
  }
}

function writeOne(number: number, type: string, value: Json, at: string, writer: Writer): void {
  if (!isMessage(type)) {
    writer.uint32(tag(number, wireOf(type)));
    writeScalar(type, value, at, writer);
    return;
  }
  writer.uint32(tag(number, LENGTH_DELIMITED)).fork();
  writeMessage(type, value, at, writer);
  writer.ldelim();
}

function writeScalar(type: string, value: Json, at: string, writer: Writer): void {
  switch (type) {
    case 'string':
      if (typeof value !== 'string') throw invalidArgument(at, `${shown(value)} is not text`);
      return void writer.string(value);
    case 'bytes':
      return void writer.bytes(bytesOf(value, at));
    case 'bool':
      if (typeof value !== 'boolean') throw invalidArgument(at, `${shown(value)} is neither true nor false`);
      return void writer.bool(value);
    case 'int32':
      return void writer.int32(wholeOf(value, at, -(2 ** 31), 2 ** 31 - 1));
    case 'uint32':
      return void writer.uint32(wholeOf(value, at, 0, 2 ** 32 - 1));
    case 'int64':
      return void writer.int64(longOf(value, at, false));
    case 'uint64':
      return void writer.uint64(longOf(value, at, true));
    case 'double':
      return void writer.double(doubleOf(value, at));
    default:
      return void writer.int32(enumOf(type, value, at));
  }
}

function enumOf(type: string, value: Json, at: string): number {
  const names = DESCRIPTORS.enums[type];
  if (names === undefined)
    throw invalidArgument(at, `the proto has a type ${type} that cannot be written yet`);
  if (typeof value === 'number') return wholeOf(value, at, -(2 ** 31), 2 ** 31 - 1);
  const [number] = Object.entries(names).find(([, name]) => name === value) ?? [];
  if (number === undefined)
    throw invalidArgument(at, `${shown(value)} is none of ${Object.values(names).join(', ')}`);
  return Number(number);
}

function wholeOf(value: Json, at: string, least: number, most: number): number {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most)
    return number;
  throw invalidArgument(at, `${shown(value)} is not a whole number from ${least} to ${most}`);
}

function longOf(value: Json, at: string, isUnsigned: boolean): Long {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text === 'string' && /^-?\d+$/.test(text)) {
    const long = Long.fromString(text, isUnsigned);
    // A number that does not fit into 64 bits is converted to another number, so the two texts differ.
    if (long.toString() === (text === '-0' ? '0' : text.replace(/^(-?)0+(?=\d)/, '$1'))) return long;
  }
  throw invalidArgument(at, `${shown(value)} is not ${isUnsigned ? 'an unsigned' : 'a'} 64-bit integer`);
}

function doubleOf(value: Json, at: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && ['NaN', 'Infinity', '-Infinity'].includes(value)) return Number(value);
  throw invalidArgument(at, `${shown(value)} is not a number`);
}

function bytesOf(value: Json, at: string): Buffer {
  if (typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0)
    return Buffer.from(value, 'base64');
  throw invalidArgument(at, `${shown(value)} is not base64`);
}

function listOf(value: Json, at: string): readonly Json[] {
  if (Array.isArray(value)) return value as readonly Json[];
  throw invalidArgument(at, `${shown(value)} is not a list`);
}

function objectOf(value: Json): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/**
 * Whether the value is the default of its type. Defaults are not written, as in every proto library. A value of the wrong type
 * is never a default, so that it is refused.
 */
function isDefault(type: string, value: Json): boolean {
  if (type === 'string' || type === 'bytes') return value === '';
  if (type === 'bool') return value === false;
  if (Object.is(value, -0)) return type !== 'double';
  return (
    value === 0 ||
    (type !== 'double' && value === '0' && !(type in DESCRIPTORS.enums)) ||
    isFirst(type, value)
  );
}

function isFirst(type: string, value: Json): boolean {
  return (
    typeof value === 'string' &&
    Object.hasOwn(DESCRIPTORS.enums, type) &&
    DESCRIPTORS.enums[type]?.['0'] === value
  );
}

function wireOf(type: string): number {
  if (type === 'string' || type === 'bytes') return LENGTH_DELIMITED;
  return type === 'double' ? FIXED64 : VARINT;
}

function tag(number: number, wire: number): number {
  return ((number << 3) | wire) >>> 0;
}

const MAX_SHOWN = 60;

function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** An index of the descriptors. It is not module state, because the descriptors never change. */
const BY_NAME: ReadonlyMap<string, ReadonlyMap<string, FieldRow>> = new Map(
  Object.entries(DESCRIPTORS.messages).map(([name, rows]) => [
    name,
    new Map(rows.map((row) => [row[1], row])),
  ]),
);
