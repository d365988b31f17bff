import type { ReadingClock } from '../reading-clock';
import type { GroupPath, Hierarchies } from '../../node/cgroup/group';
import type { GroupReader } from './group-reader';
import type { FilePlaces } from './held-files';
import { V1Group } from './v1-group';
import { V2Group } from './v2-group';

/** Opens no file yet: the first reading does. */
export function openGroup(
  group: GroupPath,
  version: Hierarchies['version'],
  clock: ReadingClock,
  places: FilePlaces,
): GroupReader {
  return version === 2 ? new V2Group(group, clock, places) : new V1Group(group, clock, places);
}
