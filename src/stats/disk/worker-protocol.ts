import type { Measured } from './disk-work';
import type { OpenFiles } from './open-files';

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
