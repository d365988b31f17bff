import type { Logger } from '../lib/logger';
import type { LogDisk } from './log-disk';
import type { LogStats } from './log-stats';
import type { PositionStore } from './position';
import type { TranslationBuffers } from './translation-buffers';
import type { WorkMarker } from './work-marker';

/** What all followers of a thread share. */
export interface FollowerParts {
  readonly disk: LogDisk;
  readonly positions: PositionStore;
  readonly buffers: TranslationBuffers;
  readonly stats: LogStats;
  readonly logger: Logger;
  readonly marker: WorkMarker;
}
