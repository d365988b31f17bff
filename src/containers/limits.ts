import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, failedPrecondition, messageOf } from '../lib/errors';
import { groupOfContainer, type GroupPath, readHierarchies } from '../node/cgroup/group';
import { hasEnded } from '../node/process/process-info';
import type { Logger } from '../lib/logger';
import type { ContainerRecord, KernelValues, ResourcesRecord } from '../store/records';
import {
  hasKernelValues,
  isOptional,
  kernelFiles,
  lostValues,
  vitalValues,
  type KernelFile,
} from '../translate/container/kernel-values';

/** Where /proc is; tests have their own. */
const PROC = '/proc';

interface Group {
  readonly path: GroupPath;
  readonly version: 1 | 2;
}

/** @returns undefined when the container's first process is gone: then there is nothing left to limit. */
async function groupOf({ id, pid }: ContainerRecord, proc: string): Promise<Group | undefined> {
  const hierarchies = await readHierarchies(proc);
  try {
    const text = await readFile(join(proc, String(pid), 'cgroup'), 'utf8');
    const path = hierarchies && groupOfContainer(text, id, hierarchies);
    // On cgroup v1 the kernel reports the root group for a zombie.
    if (path === undefined && (await hasEnded(pid, proc))) return undefined;
    if (hierarchies === undefined || path === undefined)
      throw failedPrecondition(`the control group of container ${id} is not to be found`);
    return { path, version: hierarchies.version };
  } catch (error) {
    const gone = ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '');
    if (gone) return undefined;
    throw error;
  }
}

/**
 * Writes what the Engine API has no field for (huge page limits, raw cgroup v2 values) to the control group of a
 * running container. What it may run without (see isOptional) costs a log line where it cannot be written.
 * @throws FAILED_PRECONDITION naming the file that refused.
 */
export async function writeKernelValues(
  container: ContainerRecord,
  values: KernelValues,
  logger: Pick<Logger, 'warn'>,
  proc = PROC,
): Promise<void> {
  if (!hasKernelValues(values)) return;
  const skip = (error: unknown): void =>
    logger.warn('A value of a control group cannot be set', {
      container: container.id,
      error: messageOf(error),
    });
  try {
    const group = await groupOf(container, proc);
    if (group === undefined) return;
    for (const wanted of kernelFiles(values, group.version)) {
      try {
        // Never made: a file that is missing is one that this kernel does not have.
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
 * Writes those values of a running container again that its control group has lost, or never had. What cannot be written
 * is logged: the container runs already.
 * @returns what the kernel says of all values afterwards.
 */
export async function restoreLostValues(
  container: ContainerRecord,
  logger: Logger,
  proc = PROC,
): Promise<ResourcesRecord> {
  const present = await readKernelValues(container, proc);
  const lost = lostValues(container.resources, present);
  if (!hasKernelValues(lost)) return present;
  try {
    await writeKernelValues(container, lost, logger, proc);
    logger.info('Limits that a container had lost were written again', { container: container.id });
  } catch (error) {
    logger.error('A container runs without limits that it was given', {
      container: container.id,
      error: messageOf(error),
    });
  }
  return readKernelValues(container, proc);
}

/** What the kernel says of the values that a running container was given; as they are known where it says nothing. */
export async function readKernelValues(container: ContainerRecord, proc = PROC): Promise<ResourcesRecord> {
  const { resources } = container;
  if (container.pid === 0 || !hasKernelValues(resources)) return resources;
  const group = await groupOf(container, proc).catch(() => undefined);
  if (group === undefined) return resources;
  const read = async (file: KernelFile, known: string): Promise<string> =>
    readFile(placeOf(group.path, file), 'utf8').then(
      (text) => text.trim(),
      () => known,
    );
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
  return {
    ...resources,
    hugepages: await current(resources.hugepages, 'hugepages'),
    unified: await current(resources.unified, 'unified'),
  };
}

/** Where the `unified` values of a running container are; nowhere once its first process is gone. */
export async function unifiedPlaces(container: ContainerRecord, proc = PROC): Promise<string[]> {
  const group = await groupOf(container, proc);
  if (group === undefined) return [];
  const { unified } = container.resources;
  return kernelFiles({ hugepages: {}, unified }, group.version).map((file) => placeOf(group.path, file));
}

function placeOf(group: GroupPath, { controller, file }: KernelFile): string {
  const directory = group.directoryOf(controller);
  if (directory === undefined) throw failedPrecondition(`controller ${controller} is not mounted`);
  return join(directory, file);
}
