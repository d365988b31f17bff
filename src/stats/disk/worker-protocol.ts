import type { Measured, OpenFiles } from './disk-work';

export type DiskCall =
  | { readonly method: 'measure'; readonly directory: string }
  | { readonly method: 'openFiles'; readonly pids: readonly number[] };

export type DiskRequest = DiskCall & { readonly id: number };

export interface DiskReply {
  readonly id: number;
  readonly measured?: Measured | undefined;
  readonly openFiles?: OpenFiles;
  readonly error?: string;
}
