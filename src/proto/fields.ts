import Long from 'long';
import { Reader } from 'protobufjs/minimal';
import { DESCRIPTORS, type FieldRow } from './descriptors';

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

/** A decoded scalar. int64 and uint64 are decimal text. An enum is a name, or a number if the number has no name. */
export type Scalar = string | number | boolean | Buffer;

/** The field to which a scalar belongs. */
export interface Place {
  readonly message: string;
  readonly field: FieldRow;
  /** The key of the map's entry, if the field is a map. */
  readonly key?: string;
}

/**
 * Returns the JSON that replaces a scalar, or that replaces the bytes of a message which the proto marks as secret. Undefined
 * keeps the value.
 */
export type Rewrite = (value: Scalar, place: Place) => Json | undefined;

/** The key under which JSON contains the fields that the proto does not know. No field can have this name. */
export const UNKNOWN = '@unknown';

export interface JsonOptions {
  readonly rewrite?: Rewrite;
  /** Returns the JSON for the bytes of a field that the proto does not know. The default is base64. */
  readonly unknown?: (bytes: Buffer) => Json;
}

/**
 * Converts a CRI message to proto3 JSON with the proto's field names (docs/harness.md). Fields with default values are omitted,
 * 64-bit numbers are text, bytes are base64, and enums are names. The fields come from the descriptors, so a field that is
 * added to the proto needs no change here.
 * @param message the message's name, such as `RunPodSandboxRequest`.
 * @throws Error when the bytes are not such a message.
 */
export function toJson(message: string, bytes: Uint8Array, options: JsonOptions = {}): JsonObject {
  const reader = Reader.create(bytes);
  return readMessage(message, reader, bytes.length, options);
}

/** Whether the proto knows a message of this name. */
export function isMessage(name: string): boolean {
  return Object.hasOwn(DESCRIPTORS.messages, name);
}

const LENGTH_DELIMITED = 2;

function readMessage(message: string, reader: Reader, end: number, options: JsonOptions): JsonObject {
  const fields = fieldsOf(message);
  const out: Record<string, Json> = {};
  while (reader.pos < end) {
    const start = reader.pos;
    const tag = reader.uint32();
    const wire = tag & 7;
    const field = fields.get(tag >>> 3);
    if (field === undefined || !fits(field, wire)) {
      reader.skipType(wire);
      const bytes = Buffer.from(reader.buf.subarray(start, reader.pos));
      const unknown = options.unknown?.(bytes) ?? bytes.toString('base64');
      append(out, UNKNOWN, unknown);
      continue;
    }
    readField(message, field, wire, reader, options, out);
  }
  if (reader.pos !== end) throw new Error(`${message} ends in the middle of a field`);
  return out;
}

function readField(
  message: string,
  field: FieldRow,
  wire: number,
  reader: Reader,
  options: JsonOptions,
  out: Record<string, Json>,
): void {
  const [, name, type, kind, isSecret] = field;
  if (kind === 'map') {
    const [key, value] = readEntry(message, field, reader, options);
    Object.defineProperty((out[name] ??= {}), key, { value, enumerable: true, configurable: true });
    return;
  }
  if (isMessage(type)) {
    const length = reader.uint32();
    const start = reader.pos;
    const bytes = (): Buffer => Buffer.from(reader.buf.subarray(start, start + length));
    const instead = isSecret === true ? options.rewrite?.(bytes(), { message, field }) : undefined;
    if (instead !== undefined) reader.skip(length);
    const value = instead ?? readMessage(type, reader, start + length, options);
    if (kind === 'list') append(out, name, value);
    else if (instead !== undefined) out[name] = instead;
    else out[name] = { ...(out[name] as JsonObject | undefined), ...(value as JsonObject) };
    return;
  }
  const read = (): Json => rewritten(readScalar(type, reader), { message, field }, options);
  if (kind === 'list' && wire === LENGTH_DELIMITED && !isBytes(type)) {
    const end = reader.uint32() + reader.pos;
    out[name] ??= [];
    while (reader.pos < end) append(out, name, read());
  } else if (kind === 'list') {
    append(out, name, read());
  } else {
    const value = readScalar(type, reader);
    // In proto3, a default value on the wire has the same meaning as an absent field.
    if (isDefault(type, value)) Reflect.deleteProperty(out, name);
    else out[name] = rewritten(value, { message, field }, options);
  }
}

/** Reads one entry of a map. The key is always a string in CRI, and the descriptor contains the type of the value. */
function readEntry(message: string, field: FieldRow, reader: Reader, options: JsonOptions): [string, Json] {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value: Scalar = '';
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) key = reader.string();
    else if (tag >>> 3 === 2) value = readScalar(field[2], reader);
    else reader.skipType(tag & 7);
  }
  return [key, rewritten(value, { message, field, key }, options)];
}

/** Appends to the same list each time, because copying the list for each value would take quadratic time. */
function append(out: Record<string, Json>, name: string, value: Json): void {
  const list = (out[name] ??= []) as Json[];
  list.push(value);
}

function rewritten(value: Scalar, place: Place, { rewrite }: JsonOptions): Json {
  const instead = rewrite?.(value, place);
  if (instead !== undefined) return instead;
  if (Buffer.isBuffer(value)) return value.toString('base64');
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function readScalar(type: string, reader: Reader): Scalar {
  switch (type) {
    case 'string':
      return reader.string();
    case 'bytes':
      return Buffer.from(reader.bytes());
    case 'bool':
      return reader.bool();
    case 'int32':
      return reader.int32();
    case 'uint32':
      return reader.uint32();
    case 'int64':
      return Long.fromValue(reader.int64()).toString();
    case 'uint64':
      return Long.fromValue(reader.uint64()).toString();
    case 'double':
      return reader.double();
    default: {
      const names = DESCRIPTORS.enums[type];
      if (names === undefined) throw new Error(`the proto has a type ${type} that cannot be read yet`);
      const number = reader.int32();
      return names[String(number)] ?? number;
    }
  }
}

function isDefault(type: string, value: Scalar): boolean {
  if (Buffer.isBuffer(value)) return value.length === 0;
  if (value === '' || value === 0 || value === false) return true;
  if (type === 'int64' || type === 'uint64') return value === '0';
  return DESCRIPTORS.enums[type]?.['0'] === value && type in DESCRIPTORS.enums;
}

function isBytes(type: string): boolean {
  return type === 'string' || type === 'bytes';
}

/** Whether a field can be read from this wire type. If not, the field counts as unknown, as in every proto library. */
function fits([, , type, kind]: FieldRow, wire: number): boolean {
  if (kind === 'map' || isMessage(type) || isBytes(type)) return wire === LENGTH_DELIMITED;
  const own = type === 'double' ? 1 : 0;
  return wire === own || (kind === 'list' && wire === LENGTH_DELIMITED);
}

const NO_FIELDS: ReadonlyMap<number, FieldRow> = new Map();
/** An index of the descriptors. It is not module state, because the descriptors never change. */
const BY_NUMBER: ReadonlyMap<string, ReadonlyMap<number, FieldRow>> = new Map(
  Object.entries(DESCRIPTORS.messages).map(([name, rows]) => [
    name,
    new Map(rows.map((row) => [row[0], row])),
  ]),
);

function fieldsOf(message: string): ReadonlyMap<number, FieldRow> {
  return BY_NUMBER.get(message) ?? NO_FIELDS;
}
