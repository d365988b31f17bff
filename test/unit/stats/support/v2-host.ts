import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findHierarchies, type GroupPath, type Hierarchies } from '../../../../src/node/cgroup';
import { V2Group } from '../../../../src/stats/cgroup/v2-group';
import { ReadingClock } from '../../../../src/stats/readings';
import { FilePlaces } from '../../../../src/stats/cgroup/held-files';

const RECORDED = join(__dirname, '../../../fixtures/cgroup-v2');

export function recordedText(name: string): string {
  return readFileSync(join(RECORDED, name), 'latin1');
}

export function recordedHierarchies(): Hierarchies {
  const found = findHierarchies(recordedText('mountinfo'));
  if (found === undefined) throw new Error('the recorded machine has no cgroups');
  return found;
}

/** A cgroup of the recorded machine (test/fixtures/cgroup-v2/README.md). */
export function recordedGroup(name: string): V2Group {
  const path: GroupPath = {
    name: `/${name}`,
    directoryOf: () => join(RECORDED, name),
    processDirectory: undefined,
    parent: () => path,
  };
  return new V2Group(path, new ReadingClock(() => 1_700_000_000_000), new FilePlaces(100));
}
