import type { Logger } from '../lib/logger';
import type { StartWorker } from '../lib/worker-rpc';
import { readHierarchies } from '../node/cgroup';
import type { Store } from '../store/store';
import { CgroupSource } from './cgroup/cgroup-source';
import { LayerBudget, type LayerTimes } from './disk/layer-budget';
import { LayerSource, type EngineSizes } from './disk/layer-source';
import { WorkerDiskWork } from './disk/worker-disk-work';
import { EngineSource, type EngineStats } from './engine-source';
import { NodeStats } from './node-stats';
import { ReadingClock, type UsageSource } from './readings';

export interface NodeStatsOptions {
  readonly choice: StatsChoice;
  readonly localEngine: boolean;
  readonly store: Store;
  readonly engine: EngineStats & EngineSizes;
  /** How many control group files may stay open. */
  readonly heldFiles: number;
  readonly logger: Logger;
  readonly overrides?: StatsOverrides;
}

/** The parts that tests replace; production passes nothing. */
export interface StatsOverrides {
  readonly layerTimes?: Partial<LayerTimes>;
  readonly startWorker?: StartWorker;
}

/** Creates the stats of a daemon, with the source that suits its Engine. */
export async function createNodeStats(options: NodeStatsOptions): Promise<NodeStats> {
  const { store, engine, logger, overrides = {} } = options;
  const clock = new ReadingClock();
  const { source, visible } = await chooseSource({ ...options, clock });
  const work = new WorkerDiskWork(require.resolve('./disk/worker-entry'), logger, overrides);
  const sizes = new LayerSource({
    ...{ work, engine, clock, visible },
    rootDir: () => store.engine?.rootDir ?? '',
    imageDirectory: () => store.engine?.imageDirectory ?? '',
  });
  const layers = new LayerBudget(
    (target, signal) => sizes.measure(target, signal),
    logger,
    overrides.layerTimes,
  );
  return new NodeStats({ store, source, layers, work, clock, logger });
}

/** `auto` means cgroup files for a local Engine, otherwise the Engine. */
export type StatsChoice = 'auto' | 'cgroup' | 'engine';

export interface SourceParts {
  readonly choice: StatsChoice;
  /** Whether the Engine's processes run on this machine. */
  readonly localEngine: boolean;
  readonly engine: EngineStats;
  readonly clock: ReadingClock;
  /** How many control group files may stay open. */
  readonly heldFiles: number;
  readonly logger: Logger;
}

export interface ChosenSource {
  readonly source: UsageSource;
  /** Whether this daemon can see the Engine's processes and files. */
  readonly visible: boolean;
}

/** Chooses the source. Called once, at the start, because counters would jump if the source changed later. */
export async function chooseSource({
  choice,
  localEngine,
  engine,
  clock,
  heldFiles,
  logger,
}: SourceParts): Promise<ChosenSource> {
  const hierarchies = await readHierarchies();
  const reason = reasonAgainstCgroups(choice, localEngine, hierarchies !== undefined);
  if (reason === undefined && hierarchies !== undefined) {
    logger.info('Reading stats from cgroup files', { cgroupVersion: hierarchies.version });
    return { source: new CgroupSource(hierarchies, clock, heldFiles), visible: true };
  }
  logger.info('Reading stats from Docker Engine, which costs much more than reading cgroup files', {
    reason,
  });
  return { source: new EngineSource(engine, clock), visible: false };
}

function reasonAgainstCgroups(
  choice: StatsChoice,
  localEngine: boolean,
  areMounted: boolean,
): string | undefined {
  if (choice === 'engine') return '--stats-source=engine';
  if (!areMounted) return 'no cgroup file system is mounted';
  if (choice === 'auto' && !localEngine) return 'the Engine is on another machine';
  return undefined;
}
