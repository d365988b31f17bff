import type { Decoded } from '../../../src/proto';

/** What becomes of one field of a request. The page docs/cri-coverage.md is made of these. */
export type Coverage = Honoured | Refused | Informative;

/** It has an effect, in the Engine or in what the CRI answers. */
export interface Honoured {
  readonly becomes: string;
  /** What it needs where not every Engine from 20.10 on will do. */
  readonly needs?: string;
  /** Values that are refused, and why. */
  readonly except?: string;
}

/** Every value that means something is an error which names the field. */
export interface Refused {
  readonly refused: string;
}

/** Accepted, and without effect by the CRI's own definition; the reason why that loses nothing. */
export interface Informative {
  readonly informs: string;
}

/** A row for each field of a message: the compiler misses none and allows none too many. */
export type FieldsOf<Message> = { readonly [Name in keyof Decoded<Message>]: Coverage };
