import type { Decoded } from '../../../src/proto';

/** The treatment of one request field. docs/cri-coverage.md is generated from these rows. */
export type Coverage = Honoured | Refused | Informative;

/** The field has an effect, in the Engine or in CRI's answers. */
export interface Honoured {
  readonly becomes: string;
  /** The requirement, if Docker Engine 20.10 is not enough. */
  readonly needs?: string;
  /** The refused values, with the reason. */
  readonly except?: string;
}

/** Every value with a meaning causes an error that names the field. */
export interface Refused {
  readonly refused: string;
}

/** The field is accepted and has no effect. */
export interface Informative {
  /** The reason why nothing is lost. */
  readonly informs: string;
  /** Fields inside this field that have an effect all the same, by their path from this field. */
  readonly but?: Readonly<Record<string, string>>;
}

/** A row for each field of a message. The compiler rejects missing and extra rows. */
export type FieldsOf<Message> = { readonly [Name in keyof Decoded<Message>]: Coverage };
