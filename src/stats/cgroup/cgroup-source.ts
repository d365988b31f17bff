import {
  groupOfContainer,
  type GroupPath,
  type Hierarchies,
  isInContainer,
  processesBelow,
} from '../../node/cgroup';
import { readText } from '../../node/disk/files';
import { Semaphore } from '../../lib/async/concurrency';
import type {
  InterfaceReading,
  UsageReading,
  ReadingClock,
  Target,
  TargetDetail,
  UsageSource,
} from '../readings';
import type { GroupReader } from './group-reader';
import { FilePlaces } from './held-files';
import { parseNetDev } from './parse';
import { V1Group } from './v1-group';
import { V2Group } from './v2-group';

/**
 * How many groups are read at the same time. Each has three to nine small files, and libuv has four threads for all of them.
 */
const CONCURRENCY = 8;

interface Found {
  readonly path: GroupPath;
  readonly own: GroupReader;
  /** The parent group, which is opened when it is first requested. */
  above?: GroupReader;
}

interface Entry {
  readonly pid: number;
  readonly found: Promise<Found | undefined>;
}

/**
 * Takes readings from cgroup files. A container's group is looked up once, in /proc/<pid>/cgroup of the container's first
 * process. The group's files stay open until the container ends, unless too many files are open already.
 */
export class CgroupSource implements UsageSource {
  private readonly entries = new Map<string, Entry>();
  private readonly slots = new Semaphore(CONCURRENCY);
  private readonly places: FilePlaces;

  constructor(
    private readonly hierarchies: Hierarchies,
    private readonly clock: ReadingClock,
    heldFiles: number,
  ) {
    this.places = new FilePlaces(heldFiles);
  }

  async usage(target: Target, signal?: AbortSignal): Promise<UsageReading | undefined> {
    return this.slots.run(async () => (await this.find(target))?.own.usage(), signal);
  }

  async detail(target: Target, signal?: AbortSignal): Promise<TargetDetail | undefined> {
    return this.slots.run(async () => withName((await this.find(target))?.own), signal);
  }

  async cgroupName(target: Target): Promise<string | undefined> {
    return (await this.find(target))?.path.name;
  }

  async podUsage(sandbox: Target, signal?: AbortSignal): Promise<UsageReading | undefined> {
    return this.slots.run(async () => (await this.above(sandbox))?.usage(), signal);
  }

  async podDetail(sandbox: Target, signal?: AbortSignal): Promise<TargetDetail | undefined> {
    return this.slots.run(async () => withName(await this.above(sandbox)), signal);
  }

  async processes(target: Target, signal?: AbortSignal): Promise<readonly number[] | undefined> {
    return this.slots.run(async () => {
      const directory = (await this.find(target))?.path.processDirectory;
      return directory === undefined ? undefined : processesBelow(directory);
    }, signal);
  }

  async interfaces(
    { id, pid }: Target,
    signal?: AbortSignal,
  ): Promise<readonly InterfaceReading[] | undefined> {
    return this.slots.run(async () => {
      const text = await readText(`/proc/${pid}/net/dev`);
      // The cgroup is checked after the read, so that a pid that was reused before the read is noticed.
      return text !== undefined && (await isInContainer(pid, id)) ? parseNetDev(text) : undefined;
    }, signal);
  }

  async watch(target: Target): Promise<void> {
    await this.usage(target);
  }

  async forget(id: string): Promise<void> {
    const entry = this.entries.get(id);
    this.entries.delete(id);
    await closeAll(entry);
  }

  async close(): Promise<void> {
    const entries = [...this.entries.values()];
    this.entries.clear();
    for (const entry of entries) await closeAll(entry);
  }

  private async above(sandbox: Target): Promise<GroupReader | undefined> {
    const found = await this.find(sandbox);
    if (found === undefined) return undefined;
    found.above ??= this.open(found.path.parent());
    return found.above;
  }

  private async find(target: Target): Promise<Found | undefined> {
    const known = this.entries.get(target.id);
    // A different pid means that the container was restarted (`docker restart`) and is now in another group of the same name.
    if (known?.pid === target.pid) return known.found;
    const entry = { pid: target.pid, found: this.locate(target) };
    this.entries.set(target.id, entry);
    await closeAll(known);
    const found = await entry.found;
    if (found === undefined && this.entries.get(target.id) === entry) this.entries.delete(target.id);
    return found;
  }

  private async locate({ id, pid }: Target): Promise<Found | undefined> {
    const text = pid === 0 ? undefined : await readText(`/proc/${pid}/cgroup`);
    const path = text === undefined ? undefined : groupOfContainer(text, id, this.hierarchies);
    return path && { path, own: this.open(path) };
  }

  private open(path: GroupPath): GroupReader {
    return openGroup(path, this.hierarchies.version, this.clock, this.places);
  }
}

async function withName(group: GroupReader | undefined): Promise<TargetDetail | undefined> {
  const detail = await group?.detail();
  return detail && group && { ...detail, cgroup: group.name };
}

async function closeAll(entry: Entry | undefined): Promise<void> {
  const found = await entry?.found;
  await found?.own.close();
  await found?.above?.close();
}

/** Makes the reader of a group. The group's files are opened by its first reading. */
export function openGroup(
  group: GroupPath,
  version: Hierarchies['version'],
  clock: ReadingClock,
  places: FilePlaces,
): GroupReader {
  return version === 2 ? new V2Group(group, clock, places) : new V1Group(group, clock, places);
}
