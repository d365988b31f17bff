import { type FSWatcher, watch } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, failedPrecondition, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { groupOfContainer, type GroupPath, readHierarchies } from '../node/cgroup';
import { hasEnded } from '../node/process/process-info';
import type { ContainerRecord, KernelValues, ResourcesRecord } from '../store/records';
import { hasProcess } from '../store/states';
import type { Store } from '../store/store';
import {
  hasKernelValues,
  isOptional,
  type KernelFile,
  kernelFiles,
  losableValues,
  lostValues,
  requireWritable,
  SWAP_KEY,
  vitalValues,
} from '../translate/container/kernel-values';

/** The proc file system. Tests use another directory. */
const PROC = '/proc';

interface Group {
  readonly path: GroupPath;
  readonly version: 1 | 2;
}

/**
 * Finds the control group of a container.
 * @returns undefined when the container's first process is gone, because then nothing is left to limit.
 */
async function groupOf({ id, pid }: ContainerRecord, proc: string): Promise<Group | undefined> {
  const hierarchies = await readHierarchies(proc);
  try {
    const text = await readFile(join(proc, String(pid), 'cgroup'), 'utf8');
    const path = hierarchies && groupOfContainer(text, id, hierarchies);
    // On cgroup v1, the kernel reports the root group for a zombie.
    if (path === undefined && (await hasEnded(pid, proc))) return undefined;
    if (hierarchies === undefined || path === undefined)
      throw failedPrecondition(`cannot find the control group of container ${id}`);
    return { path, version: hierarchies.version };
  } catch (error) {
    const gone = ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '');
    if (gone) return undefined;
    throw error;
  }
}

/**
 * Writes the values for which the Engine API has no field (huge page limits, raw cgroup v2 values) to the control group
 * of a running container. A failure is only logged when the container may run without the value (see isOptional).
 * @throws FAILED_PRECONDITION with the name of the file that could not be written.
 */
export async function writeKernelValues(
  container: ContainerRecord,
  values: KernelValues,
  logger: Pick<Logger, 'warn'>,
  proc = PROC,
): Promise<void> {
  if (!hasKernelValues(values)) return;
  const skip = (error: unknown): void =>
    logger.warn("Cannot set a value of a container's cgroup", {
      container: container.id,
      error: messageOf(error),
    });
  try {
    const group = await groupOf(container, proc);
    if (group === undefined) return;
    for (const wanted of kernelFiles(values, group.version)) {
      try {
        // The file is never created. If it is missing, this kernel does not support it.
        await writeFile(placeOf(group.path, wanted), wanted.value, { flag: 'r+' });
      } catch (error) {
        if ((await groupOf(container, proc)) === undefined) return;
        const text = `${wanted.file} cannot be set to "${wanted.value}": ${messageOf(error)}`;
        if (!isOptional(wanted, errnoOf(error))) throw failedPrecondition(text);
        skip(text);
      }
    }
  } catch (error) {
    if (hasKernelValues(vitalValues(values))) throw error;
    skip(error);
  }
}

/**
 * Rewrites the values that the control group of a running container has lost or never had. A failure is only logged,
 * because the container is already running.
 * @returns the kernel's values after the writes, and whether they are complete.
 */
export async function restoreLostValues(
  container: ContainerRecord,
  logger: Logger,
  proc = PROC,
): Promise<{ readonly resources: ResourcesRecord; readonly complete: boolean }> {
  let lost = await readLostValues(container, proc);
  if (hasKernelValues(lost)) {
    try {
      await writeKernelValues(container, lost, logger, proc);
      logger.info('Rewrote lost limits of a container', { container: container.id });
    } catch (error) {
      logger.error('A container runs without some of its limits', {
        container: container.id,
        error: messageOf(error),
      });
    }
    lost = await readLostValues(container, proc);
  }
  return { resources: await readKernelValues(container, proc), complete: !hasKernelValues(lost) };
}

/** @returns the wanted values of a running container for which the kernel has its default instead. */
export async function readLostValues(container: ContainerRecord, proc = PROC): Promise<KernelValues> {
  const wanted = losableValues(container.resources);
  return lostValues(wanted, await readValues(container, wanted, proc));
}

/** @returns the kernel's values for a running container, or the recorded values where the kernel's cannot be read. */
export async function readKernelValues(container: ContainerRecord, proc = PROC): Promise<ResourcesRecord> {
  const { resources } = container;
  return { ...resources, ...(await readValues(container, resources, proc)) };
}

async function readValues(
  container: ContainerRecord,
  { hugepages, unified }: KernelValues,
  proc: string,
): Promise<KernelValues> {
  if (container.pid === 0 || !hasKernelValues({ hugepages, unified })) return { hugepages, unified };
  const group = await groupOf(container, proc).catch(() => undefined);
  if (group === undefined) return { hugepages, unified };
  const read = async (file: KernelFile, known: string): Promise<string> => {
    try {
      return (await readFile(placeOf(group.path, file), 'utf8')).trim();
    } catch {
      // The controller may not be mounted, or the container has just ended. In both cases the recorded value is used.
      return known;
    }
  };
  const current = async (values: Readonly<Record<string, string>>, kind: 'hugepages' | 'unified') =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(values).map(async ([key, known]) => {
          const one = { hugepages: {}, unified: {}, [kind]: { [key]: known } };
          const [file] = kernelFiles(one, group.version);
          return [key, file === undefined ? known : await read(file, known)] as const;
        }),
      ),
    );
  return { hugepages: await current(hugepages, 'hugepages'), unified: await current(unified, 'unified') };
}

/**
 * @returns the files of the cgroup v2 values that a running container may lose. The list is empty on v1 and when the
 * container's first process is gone.
 */
export async function losablePlaces(container: ContainerRecord, proc = PROC): Promise<string[]> {
  const group = await groupOf(container, proc);
  if (group === undefined || group.version === 1) return [];
  const { unified } = losableValues(container.resources);
  return kernelFiles({ hugepages: {}, unified }, group.version).map((file) => placeOf(group.path, file));
}

function placeOf(group: GroupPath, { controller, file }: KernelFile): string {
  const directory = group.directoryOf(controller);
  if (directory === undefined) throw failedPrecondition(`controller ${controller} is not mounted`);
  return join(directory, file);
}

/**
 * Checks whether these values can be written on this machine.
 * @throws when they cannot be written.
 */
export async function requireKernelValues(
  values: KernelValues,
  localEngine: boolean,
  field: string,
  proc = PROC,
): Promise<void> {
  if (!hasKernelValues(values)) return;
  const found = await readHierarchies(proc);
  const node = {
    localEngine,
    cgroupVersion: found?.version,
    hugetlb: found?.version === 2 || found?.controllers.has('hugetlb') === true,
  };
  requireWritable(values, node, field);
}

/**
 * Runs `work` while it holds the container's lock, so that an update that is under way is not mistaken for a lost value.
 * `refresh` inspects the container and brings its record up to date.
 */
export type Hold = (id: string, work: (refresh: () => Promise<void>) => Promise<void>) => Promise<void>;

export interface LimitsWatchParts {
  readonly store: Pick<Store, 'containers'>;
  readonly hold: Hold;
  readonly logger: Logger;
  readonly proc?: string | undefined;
}

/** One run of a container, from its start to its end. */
interface Run {
  readonly pid: number;
  /** The watched files as a list; an update of the container may change the list. */
  readonly files: string;
  watchers: FSWatcher[];
  waiting: boolean;
}

/**
 * Rewrites the values that a running container may lose (losableValues) whenever another program resets them. If systemd
 * is the Engine's cgroup driver, systemd resets every value for which it has no property whenever it rereads its units.
 * inotify reports writes to these files, so no polling is needed.
 */
export class LimitsWatch {
  private readonly runs = new Map<string, Run>();
  private readonly unsubscribe: () => void;

  constructor(private readonly parts: LimitsWatchParts) {
    this.unsubscribe = parts.store.containers.subscribe((now, before) => {
      const id = (now ?? before)?.id;
      if (id !== undefined) this.changed(id, now);
    });
  }

  close(): void {
    this.unsubscribe();
    for (const id of [...this.runs.keys()]) this.end(id);
  }

  follows({ id, pid }: ContainerRecord): boolean {
    return pid !== 0 && this.runs.get(id)?.pid === pid;
  }

  private changed(id: string, now: ContainerRecord | undefined): void {
    const files = now === undefined ? '' : Object.keys(losableValues(now.resources).unified).sort().join();
    // A paused container can also lose its limits.
    const isAlive = now !== undefined && hasProcess(now);
    if (isAlive && this.follows(now) && this.runs.get(id)?.files === files) return;
    this.end(id);
    if (!isAlive || files === '') return;
    const run: Run = { pid: now.pid, files, watchers: [], waiting: false };
    this.runs.set(id, run);
    void this.begin(now, run);
  }

  private async begin(container: ContainerRecord, run: Run): Promise<void> {
    const { logger, proc } = this.parts;
    try {
      const places = await losablePlaces(container, proc);
      if (places.length === 0 || this.runs.get(container.id) !== run) return;
      for (const place of places) this.watchFile(place, container.id, run);
    } catch (error) {
      // A group that is gone has no limits to lose, and a group that was not found was logged before.
      logger.debug(
        () => 'Cannot watch the limits of a container',
        () => ({ container: container.id, error: messageOf(error) }),
      );
    }
    // Changes before the watch began were not reported, so the values are checked once now.
    this.look(container.id, run);
  }

  private watchFile(place: string, id: string, run: Run): void {
    let watcher: FSWatcher;
    try {
      watcher = watch(place, { persistent: false }, () => this.look(id, run));
    } catch (error) {
      // This kernel lacks the file, or the limit of watches is reached. The other files are watched all the same.
      this.parts.logger.debug(
        () => 'Cannot watch a limit of a container',
        () => ({ container: id, path: place, error: messageOf(error) }),
      );
      return;
    }
    // Without the watcher, a lost value stays lost, as on a machine where nothing can be watched.
    watcher.on('error', () => watcher.close());
    run.watchers.push(watcher);
  }

  private look(id: string, run: Run): void {
    if (run.waiting || this.runs.get(id) !== run) return;
    run.waiting = true;
    const { hold, logger } = this.parts;
    // The check fails when the group is gone or lacks a file, which was logged when the container was started.
    hold(id, (refresh) => this.restore(id, run, refresh)).catch((error: unknown) =>
      logger.debug(
        () => 'Cannot read the limits of a container',
        () => ({ container: id, error: messageOf(error) }),
      ),
    );
  }

  private async restore(id: string, run: Run, refresh: () => Promise<void>): Promise<void> {
    run.waiting = false;
    const { logger, proc } = this.parts;
    const container = this.followed(id, run);
    if (container === undefined) return;
    const lost = await readLostValues(container, proc);
    // The Engine can also set the swap limit. Only an inspect shows whether a client has just allowed swap.
    if (lost.unified[SWAP_KEY] !== undefined) await refresh();
    const current = this.followed(id, run);
    if (current === undefined) return;
    const { complete } = await restoreLostValues(current, logger, proc);
    // A value that the kernel accepts but does not keep would otherwise be written again and again.
    if (!complete) this.stopWatching(run);
  }

  private followed(id: string, run: Run): ContainerRecord | undefined {
    const container = this.parts.store.containers.get(id);
    return container !== undefined && this.runs.get(id) === run && this.follows(container)
      ? container
      : undefined;
  }

  private end(id: string): void {
    const run = this.runs.get(id);
    if (run === undefined) return;
    this.runs.delete(id);
    this.stopWatching(run);
  }

  private stopWatching(run: Run): void {
    for (const watcher of run.watchers.splice(0)) watcher.close();
  }
}
