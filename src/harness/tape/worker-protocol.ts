import type { Entry } from './entry';
import type { TapeHeader } from './format';

/** What the thread is started with. */
export interface TapeWork {
  readonly file: string;
  readonly header: TapeHeader;
  /** Keep secrets. */
  readonly full: boolean;
}

/** Entries in their order; the last of all is a `finish`. */
export type ToTape = readonly Entry[];

export type FromTape =
  | { readonly opened: true }
  /** So much of what was sent is on the disk, or was given up. */
  | { readonly taken: number; readonly failed?: { readonly lines: number; readonly why: string } }
  | { readonly finished: true; readonly bytes: number }
  | { readonly refused: string };
