import type { Logger } from '../lib/logger';
import { CgroupSource } from './cgroup/cgroup-source';
import { readHierarchies } from '../node/cgroup/group';
import { EngineSource, type EngineStats } from './engine-source';
import type { ReadingClock } from './reading-clock';
import type { UsageSource } from './usage-source';

/** `auto`: cgroup files of a local Engine, else the Engine. */
export type StatsChoice = 'auto' | 'cgroup' | 'engine';

export interface SourceParts {
  readonly choice: StatsChoice;
  /** Whether the Engine's processes are on this machine. */
  readonly localEngine: boolean;
  readonly engine: EngineStats;
  readonly clock: ReadingClock;
  /** How many files of control groups may stay open. */
  readonly heldFiles: number;
  readonly logger: Logger;
}

export interface ChosenSource {
  readonly source: UsageSource;
  /** Whether the Engine's processes and files can be seen from here. */
  readonly visible: boolean;
}

/** Made once, at start: a source that changed under way would make counters jump. */
export async function chooseSource({
  choice,
  localEngine,
  engine,
  clock,
  heldFiles,
  logger,
}: SourceParts): Promise<ChosenSource> {
  const hierarchies = await readHierarchies();
  const why = whyNotCgroups(choice, localEngine, hierarchies !== undefined);
  if (why === undefined && hierarchies !== undefined) {
    logger.info('Stats are read from cgroup files', { cgroupVersion: hierarchies.version });
    return { source: new CgroupSource(hierarchies, clock, heldFiles), visible: true };
  }
  logger.info("Stats are the Engine's one-shot stats, which cost it much more", { why });
  return { source: new EngineSource(engine, clock), visible: false };
}

function whyNotCgroups(choice: StatsChoice, localEngine: boolean, areMounted: boolean): string | undefined {
  if (choice === 'engine') return '--stats-source=engine';
  if (!areMounted) return 'no cgroup file system is mounted';
  if (choice === 'auto' && !localEngine) return 'the Engine is on another machine';
  return undefined;
}
