import type { KernelValues } from '../store/records';
import { readHierarchies } from '../node/cgroup/group';
import { hasKernelValues, requireWritable } from '../translate/container/kernel-values';

/** @throws when the values could not be written to control groups of this machine. */
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
