import { extname, join } from 'node:path';
import type { Logger } from '../lib/logger';
import type { Store } from '../store/store';
import { chooseSource, type StatsChoice } from './choose-source';
import { InThreadDiskWork, type DiskWork } from './disk/disk-work';
import { LayerBudget, type LayerTimes } from './disk/layer-budget';
import { LayerSource, type EngineSizes } from './disk/layer-source';
import { WorkerDiskWork } from './disk/worker-disk-work';
import type { EngineStats } from './engine-source';
import { NodeStats } from './node-stats';
import { ReadingClock } from './reading-clock';

export interface NodeStatsOptions {
  readonly choice: StatsChoice;
  readonly localEngine: boolean;
  readonly store: Store;
  readonly engine: EngineStats & EngineSizes;
  /** How many files of control groups may stay open. */
  readonly heldFiles: number;
  readonly logger: Logger;
  /** Other times than usual, for tests. */
  readonly layerTimes?: Partial<LayerTimes> | undefined;
}

/** The stats of a daemon, from the source that suits its Engine. */
export async function createNodeStats(options: NodeStatsOptions): Promise<NodeStats> {
  const { store, engine, logger, layerTimes } = options;
  const clock = new ReadingClock();
  const { source, visible } = await chooseSource({ ...options, clock });
  const work = diskWork(logger);
  const sizes = new LayerSource({
    ...{ work, engine, clock, visible },
    rootDir: () => store.engine?.rootDir ?? '',
    imageDirectory: () => store.engine?.imageDirectory ?? '',
  });
  const layers = new LayerBudget((target, signal) => sizes.measure(target, signal), logger, layerTimes);
  return new NodeStats({ store, source, layers, work, clock, logger });
}

/** Run from TypeScript sources (jest), where no compiled worker file stands beside this one, on the calling thread. */
function diskWork(logger: Logger): DiskWork {
  const kind = extname(__filename);
  if (kind === '.ts') return new InThreadDiskWork();
  return new WorkerDiskWork(join(__dirname, 'disk', `worker-entry${kind}`), logger);
}
