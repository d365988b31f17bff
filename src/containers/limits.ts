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
  losableValues,
  lostValues,
  vitalValues,
  requireWritable,
  type KernelFile,
} from '../translate/container/kernel-values';

/** Where /proc is; tests use another directory. */
const PROC = '/proc';

interface Group {
  readonly path: GroupPath;
  readonly version: 1 | 2;
}

/** @returns undefined when the container's first process is gone, because then nothing is left to limit. */
async function groupOf({ id, pid }: ContainerRecord, proc: string): Promise<Group | undefined> {
  const hierarchies = await readHierarchies(proc);
  try {
    const text = await readFile(join(proc, String(pid), 'cgroup'), 'utf8');
    const path = hierarchies && groupOfContainer(text, id, hierarchies);
    // On cgroup v1 the kernel reports the root group for a zombie.
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
 * Writes the values for which the Engine API has no field (huge page limits, raw cgroup v2 values) to the control group of a
 * running container. When a value that the container may run without (see isOptional) cannot be written, this is only logged.
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
    logger.warn("Cannot set a value of a container's cgroup", {
      container: container.id,
      error: messageOf(error),
    });
  try {
    const group = await groupOf(container, proc);
    if (group === undefined) return;
    for (const wanted of kernelFiles(values, group.version)) {
      try {
        // The file is never created: if it is missing, this kernel does not have it.
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
 * Writes again the values that the control group of a running container has lost or never had. A failure is only logged,
 * because the container already runs.
 * @returns what the kernel says about all values afterwards, and whether they are complete.
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

/** @returns the values that a running container should have, and whose place the kernel's default has taken. */
export async function readLostValues(container: ContainerRecord, proc = PROC): Promise<KernelValues> {
  const wanted = losableValues(container.resources);
  return lostValues(wanted, await readValues(container, wanted, proc));
}

/** @returns the values that the kernel has for a running container, and the known ones where it does not say. */
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
  return { hugepages: await current(hugepages, 'hugepages'), unified: await current(unified, 'unified') };
}

/**
 * @returns the files of the cgroup v2 values that a running container may lose. There are none on v1, or once its first process
 * is gone.
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

/** @throws when these values cannot be written on this machine. */
export async function requireKernelValues(
  values: KernelValues,
  localEngine: boolean,
  field: string,
): Promise<void> {
  if (!hasKernelValues(values)) return;
  const found = await readHierarchies();
  const node = {
    localEngine,
    cgroupVersion: found?.version,
    hugetlb: found?.version === 2 || found?.controllers.has('hugetlb') === true,
  };
  requireWritable(values, node, field);
}
