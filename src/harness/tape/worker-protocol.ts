import type { SpentReport } from '../proxy/overhead';
import type { Entry } from './entry';
import type { TapeHeader } from './format';

/** What the thread is started with. */
export interface TapeWork {
  readonly file: string;
  readonly header: TapeHeader;
  /** Whether the tape keeps secrets. */
  readonly full: boolean;
}

/** Entries in their order; the last of all is a `finish`. */
export type ToTape = readonly Entry[];

/** Why entries are not on the disk. */
export interface Failed {
  /** Lines of calls and faults that are missing. */
  readonly lines: number;
  /** Lost lines that these missing lines would have reported. */
  readonly untold: number;
  readonly why: string;
}

export type FromTape =
  | { readonly opened: true }
  /** How many of the bytes and lines that were sent are on the disk or were given up. */
  | {
      readonly taken: number;
      readonly lines: number;
      readonly failed?: Failed;
      /** How many calls the thread has found in the bytes that passed, so far; undefined for none. */
      readonly calls?: number;
      /** Why it cannot read some of those bytes, for people. */
      readonly problems?: readonly string[];
    }
  /** `isWhole`: the last line is on the disk as well. */
  | {
      readonly finished: true;
      readonly bytes: number;
      readonly isWhole: boolean;
      /** Lines that are missing because the thread could not read the bytes that passed. */
      readonly unread?: number;
      /** How long the calls that it found were inside the proxy. */
      readonly spent?: SpentReport;
    }
  | { readonly refused: string };
