import type { Logger } from '../lib/logger';
import type { Store } from '../store/store';
import { chooseSource, type StatsChoice } from './choose-source';
import type { EngineStats } from './engine-source';
import { NodeStats } from './node-stats';
import { ReadingClock } from './reading-clock';

export interface NodeStatsOptions {
  readonly choice: StatsChoice;
  readonly localEngine: boolean;
  readonly store: Store;
  readonly engine: EngineStats;
  readonly logger: Logger;
}

/** The stats of a daemon, from the source that suits its Engine. */
export async function createNodeStats({ store, ...options }: NodeStatsOptions): Promise<NodeStats> {
  const clock = new ReadingClock();
  const source = await chooseSource({ ...options, clock });
  return new NodeStats({ store, source, clock, logger: options.logger });
}
