import type { Decoded } from '../../../src/proto';

/** What happens to one field of a request. docs/cri-coverage.md is generated from these. */
export type Coverage = Honoured | Refused | Informative;

/** It has an effect, in the Engine or in what the CRI answers. */
export interface Honoured {
  readonly becomes: string;
  /** What it needs, if Docker Engine 20.10 is not enough. */
  readonly needs?: string;
  /** Values that are refused, and why. */
  readonly except?: string;
}

/** Every value with a meaning is an error that names the field. */
export interface Refused {
  readonly refused: string;
}

/** It is accepted and has no effect. */
export interface Informative {
  /** Why nothing is lost. */
  readonly informs: string;
  /** Fields inside it that have an effect after all, by their path from this field. */
  readonly but?: Readonly<Record<string, string>>;
}

/** A row for each field of a message: the compiler misses none and allows none too many. */
export type FieldsOf<Message> = { readonly [Name in keyof Decoded<Message>]: Coverage };
