import generated from './gen/descriptors';

/** A scalar by proto's name, or the name of a message or enum of CRI. */
export type FieldType = string;

/** Number, name, type (of a map: of its values; CRI's keys are all strings), how many, and proto's `debug_redact`. */
export type FieldRow = readonly [
  number: number,
  name: string,
  type: FieldType,
  kind: 'one' | 'list' | 'map',
  secret?: boolean,
];

export interface Descriptors {
  readonly messages: Readonly<Record<string, readonly FieldRow[]>>;
  /** Enum → number → name. */
  readonly enums: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Service → method → request, response, and whether the server streams. */
  readonly services: Readonly<
    Record<string, Readonly<Record<string, readonly [request: string, response: string, streams: boolean]>>>
  >;
}

/**
 * What proto/runtime/v1/api.proto says of each message, for code that treats all fields alike (src/harness). The codecs have
 * no such tables. A field that enters the proto is in here after `make proto`.
 */
export const DESCRIPTORS: Descriptors = generated;
