import { failedPrecondition, invalidArgument, unsupported } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import type { KernelValues, ResourcesRecord } from '../store/records';

type Resources = Decoded<cri.ILinuxContainerResources>;

/** Keys of `unified` that the Engine has fields of its own for: translate/resources.ts. */
export const SWAP_KEY = 'memory.swap.max';
export const PIDS_KEY = 'pids.max';
/**
 * kubelet sends it for every container on cgroup v2. Where it cannot be written the kernel's default stays, which kills
 * one process instead of all: no reason to run no containers at all.
 */
const OPTIONAL_KEY = 'memory.oom.group';
const KEY = /^[a-z]+(\.[a-z0-9_]+)+$/;
const PAGE_SIZE = /^\d+[KMG]B$/;

/** Huge page limits and raw cgroup v2 values that are asked for, checked; what the Engine has a field for is left out. */
export function toKernelValues(resources: Resources | null, field: string): KernelValues {
  const hugepages: Record<string, string> = {};
  const unified: Record<string, string> = {};
  for (const [index, { page_size, limit }] of (resources?.hugepage_limits ?? []).entries()) {
    if (!PAGE_SIZE.test(page_size))
      throw invalidArgument(`${field}.hugepage_limits[${index}].page_size`, 'is no size like 2MB');
    // kubelet names every page size of the node, nearly always with 0, and writes that to the pod's group itself.
    if (!limit.isZero()) hugepages[page_size] = limit.toString();
  }
  for (const [key, value] of Object.entries(resources?.unified ?? {})) {
    if (key === SWAP_KEY || key === PIDS_KEY) continue;
    const name = `${field}.unified[${JSON.stringify(key.slice(0, 100))}]`;
    // `cgroup.*` would freeze, kill or move the container behind the Engine's back.
    if (!KEY.test(key) || key.startsWith('cgroup.')) throw unsupported(name, 'is no limit of cgroup v2');
    if (value === '' || value.length > 4096 || /[\0\n]/.test(value))
      throw invalidArgument(name, 'is no value of one line');
    unified[key] = value;
  }
  return { hugepages, unified };
}

/** What kind of control groups this machine has, as far as these values need to know. */
export interface KernelSurroundings {
  readonly cgroupVersion: 1 | 2 | undefined;
  /** Whether the Engine's containers run on this machine. */
  readonly localEngine: boolean;
  readonly hugetlb: boolean;
}

export function hasKernelValues({ hugepages, unified }: KernelValues): boolean {
  return Object.keys(hugepages).length + Object.keys(unified).length > 0;
}

/** Without these a container must not run. */
export function vitalValues({ hugepages, unified }: KernelValues): KernelValues {
  const { [OPTIONAL_KEY]: _, ...vital } = unified;
  return { hugepages, unified: vital };
}

/** @throws when the values could not be written: the Engine API has no field for them, so we must. */
export function requireWritable(wanted: KernelValues, node: KernelSurroundings, field: string): void {
  const values = vitalValues(wanted);
  if (!hasKernelValues(values)) return;
  const first = `${field}.${Object.keys(values.hugepages).length > 0 ? 'hugepage_limits' : 'unified'}`;
  if (!node.localEngine)
    throw unsupported(first, 'the Engine API has no word for it, and the Engine is on another machine');
  if (Object.keys(values.unified).length > 0 && node.cgroupVersion !== 2)
    throw failedPrecondition(`${field}.unified: needs cgroup v2, which this node has not`);
  if (Object.keys(values.hugepages).length > 0 && !node.hugetlb)
    throw failedPrecondition(`${field}.hugepage_limits: the hugetlb control groups are not mounted here`);
}

/** A file of a container's control group. */
export interface KernelFile {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

export function kernelFiles({ hugepages, unified }: KernelValues, cgroupVersion: 1 | 2): KernelFile[] {
  const limit = cgroupVersion === 2 ? 'max' : 'limit_in_bytes';
  return [
    ...Object.entries(hugepages).map(([size, value]) => ({
      controller: 'hugetlb',
      file: `hugetlb.${size}.${limit}`,
      value,
    })),
    ...Object.entries(unified).map(([key, value]) => ({
      controller: key.split('.')[0] ?? '',
      file: key,
      value,
    })),
  ];
}

/**
 * The values of an update, over those that are. Only what was given at creation can be changed: the label of the
 * container, which cannot change, tells the next daemon which files to read.
 */
export function updatedKernelValues(
  wanted: KernelValues,
  { hugepages, unified }: ResourcesRecord,
  field: string,
): KernelValues {
  for (const [kind, now, then] of [
    ['hugepage_limits', wanted.hugepages, hugepages],
    ['unified', wanted.unified, unified],
  ] as const) {
    const added = Object.keys(now).find((key) => !(key in then));
    if (added !== undefined)
      throw failedPrecondition(
        `${field}.${kind}: "${added}" can be changed only where it was given at creation`,
      );
  }
  return wanted;
}
