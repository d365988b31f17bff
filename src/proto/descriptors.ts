import generated from './gen/descriptors';

/** The name of a scalar type in the proto, or the name of one of CRI's messages or enums. */
export type FieldType = string;

/**
 * One field: its number, name, type and cardinality, and whether the proto marks it with `debug_redact`. The type of a map is
 * the type of its values, because all keys of CRI's maps are strings.
 */
export type FieldRow = readonly [
  number: number,
  name: string,
  type: FieldType,
  kind: 'one' | 'list' | 'map',
  secret?: boolean,
];

export interface Descriptors {
  readonly messages: Readonly<Record<string, readonly FieldRow[]>>;
  /** The names of enum values, by enum and number. */
  readonly enums: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The methods of each service, by service and method: request, response, and whether the server streams. */
  readonly services: Readonly<
    Record<string, Readonly<Record<string, readonly [request: string, response: string, streams: boolean]>>>
  >;
}

/**
 * The contents of proto/runtime/v1/api.proto, for code that treats all fields alike (src/harness). The codecs contain no such
 * tables. `make proto` adds new fields of the proto here.
 */
export const DESCRIPTORS: Descriptors = generated;
