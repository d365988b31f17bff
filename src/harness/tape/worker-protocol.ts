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

/** Why entries are not on the disk. */
export interface Failed {
  /** Lines of calls and faults that are missing. */
  readonly lines: number;
  /** Losses of which those lines would have told that are missing as well. */
  readonly untold: number;
  readonly why: string;
}

export type FromTape =
  | { readonly opened: true }
  /** So many bytes and lines of what was sent are on the disk, or were given up. */
  | { readonly taken: number; readonly lines: number; readonly failed?: Failed }
  /** `isWhole`: the last line is on the disk as well. */
  | { readonly finished: true; readonly bytes: number; readonly isWhole: boolean }
  | { readonly refused: string };
