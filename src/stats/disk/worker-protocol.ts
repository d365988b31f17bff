import type { Measured, OpenFiles } from './disk-work';

/** What the disk worker is asked to do; one call of `DiskWork` each. */
export type DiskCall =
  | { readonly method: 'measure'; readonly directory: string }
  | { readonly method: 'openFiles'; readonly pids: readonly number[] };

export interface DiskAnswer {
  readonly measured?: Measured | undefined;
  readonly openFiles?: OpenFiles;
}
