import type { SpentReport } from '../proxy/overhead';
import type { Entry } from './entry';
import type { TapeHeader } from './format';

/** The data with which the thread is started. */
export interface TapeWork {
  readonly file: string;
  readonly header: TapeHeader;
  /** Whether the tape contains secrets. */
  readonly full: boolean;
}

/** A batch of entries in order. The last entry of the recording is a `finish`. */
export type ToTape = readonly Entry[];

/** Entries that could not be written. */
export interface Failed {
  /** The number of missing lines about calls and faults. */
  readonly lines: number;
  /** The number of lost lines that the missing lines would have reported. */
  readonly untold: number;
  readonly why: string;
}

export type FromTape =
  | { readonly opened: true }
  /** How many bytes and lines the thread has processed, whether it could write them or not. */
  | {
      readonly taken: number;
      readonly lines: number;
      readonly failed?: Failed;
      /** How many calls the thread has found in `wire` entries so far; undefined for none. */
      readonly calls?: number;
      /** Messages about bytes in `wire` entries that could not be read. */
      readonly problems?: readonly string[];
    }
  /** The tape is closed. `isWhole`: the last line is on the disk. */
  | {
      readonly finished: true;
      readonly bytes: number;
      readonly isWhole: boolean;
      /** The number of lines that are missing because bytes in `wire` entries could not be read. */
      readonly unread?: number;
      /** How long the calls in `wire` entries spent inside the proxy. */
      readonly spent?: SpentReport;
    }
  | { readonly refused: string };
