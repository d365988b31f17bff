import { failedPrecondition, invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { KernelValues, ResourcesRecord, StringMap } from '../../store/records';

type Resources = Decoded<cri.ILinuxContainerResources>;

/** Keys of `unified` for which the Engine has fields (see translate/container/resources.ts). */
export const SWAP_KEY = 'memory.swap.max';
export const PIDS_KEY = 'pids.max';
/**
 * kubelet sends this key for every container on cgroup v2. If it cannot be written, the kernel keeps its default, and an
 * OOM kill ends one process instead of all. That is no reason to refuse every container.
 */
const OPTIONAL_KEY = 'memory.oom.group';
/**
 * The swap limit that kubelet sends for every container of a NoSwap node. Its file does not exist while swap accounting
 * is off.
 */
const NO_SWAP = '0';
const KEY = /^[a-z]+(\.[a-z0-9_]+)+$/;
const PAGE_SIZE = /^\d+[KMG]B$/;

/**
 * Checks the requested huge page limits and raw cgroup v2 values. Values for which the Engine has a field are left out.
 * @param memoryLimit the container's present limit in bytes. Without a memory limit, the Engine cannot limit swap.
 */
export function toKernelValues(resources: Resources | null, field: string, memoryLimit = 0): KernelValues {
  const hugepages: Record<string, string> = {};
  const unified: Record<string, string> = {};
  for (const [index, { page_size, limit }] of (resources?.hugepage_limits ?? []).entries()) {
    if (!isPageSize(page_size))
      throw invalidArgument(`${field}.hugepage_limits[${index}].page_size`, 'is not a size like 2MB');
    // kubelet sends every page size of the node, nearly always with 0, and writes 0 to the pod's cgroup itself.
    if (!limit.isZero()) hugepages[page_size] = limit.toString();
  }
  for (const [key, value] of Object.entries(resources?.unified ?? {})) {
    if (key === PIDS_KEY) continue;
    if (key === SWAP_KEY && (value === 'max' || isSwapForEngine(resources, memoryLimit))) continue;
    const name = `${field}.unified[${JSON.stringify(key.slice(0, 100))}]`;
    if (!isKey(key)) throw unsupported(name, 'is not a limit of cgroup v2');
    if (value === '' || value.length > 4096 || /[\0\n]/.test(value))
      throw invalidArgument(name, 'is not a single line');
    unified[key] = value;
  }
  return { hugepages, unified };
}

/**
 * Whether the swap limit goes to the Engine. The Engine's field is memory plus swap, so it also needs a memory limit.
 * CRI's own field for swap overrides the key in `unified`.
 */
function isSwapForEngine(resources: Resources | null, memoryLimit: number): boolean {
  if (resources?.memory_swap_limit_in_bytes.isZero() !== true) return true;
  return memoryLimit > 0 || !resources.memory_limit_in_bytes.isZero();
}

/**
 * Returns the values that a running container on cgroup v2 may lose: the values for which the Engine API has no field,
 * and "no swap". The Engine has a field for swap, but runc does not pass a swap limit of 0 to systemd. systemd then
 * resets this limit to "no limit", as it does with every value that it was not given.
 */
export function losableValues({
  hugepages,
  unified,
  memoryLimit,
  memorySwapLimit,
}: ResourcesRecord): KernelValues {
  const noSwap = memoryLimit > 0 && memorySwapLimit === memoryLimit;
  return { hugepages, unified: noSwap ? { [SWAP_KEY]: NO_SWAP, ...unified } : unified };
}

export function isPageSize(size: string): boolean {
  return PAGE_SIZE.test(size);
}

/**
 * Whether the key is a limit. A key `cgroup.*` would freeze, kill or move the container without the Engine's knowledge.
 */
export function isKey(key: string): boolean {
  return KEY.test(key) && !key.startsWith('cgroup.');
}

/**
 * Returns the values of `wanted` that this cgroup has lost, so that it has the kernel's default instead. A value that is
 * neither the wanted one nor the default comes from a later update, so it is not lost.
 */
export function lostValues(wanted: KernelValues, current: KernelValues): KernelValues {
  const lost = (
    values: StringMap,
    now: StringMap,
    isDefault: (key: string, value: string) => boolean,
  ): StringMap =>
    Object.fromEntries(
      Object.entries(values).filter(([key, value]) => {
        const present = now[key] ?? value;
        return present !== value && isDefault(key, present);
      }),
    );
  return {
    hugepages: lost(wanted.hugepages, current.hugepages, (_, value) => isNoLimit(value)),
    unified: lost(wanted.unified, current.unified, isKernelDefault),
  };
}

/**
 * Whether a value means "no limit". That is `max` on cgroup v2, perhaps followed by a period; the greatest number,
 * rounded to pages, on v1; or an empty file.
 */
function isNoLimit(value: string): boolean {
  return /^(max( \d+)?|\d{19,}|)$/.test(value);
}

function isKernelDefault(key: string, value: string): boolean {
  return /\.(max|high)$/.test(key) ? isNoLimit(value) : ['', '0', 'default 100'].includes(value);
}

/** What these values require of this machine's cgroups. */
export interface KernelSurroundings {
  readonly cgroupVersion: 1 | 2 | undefined;
  /** Whether the Engine's containers run on this machine. */
  readonly localEngine: boolean;
  readonly hugetlb: boolean;
}

export function hasKernelValues({ hugepages, unified }: KernelValues): boolean {
  return Object.keys(hugepages).length + Object.keys(unified).length > 0;
}

/** Returns the values without which a container must not run. */
export function vitalValues({ hugepages, unified }: KernelValues): KernelValues {
  const vital = Object.entries(unified).filter(
    ([key, value]) => key !== OPTIONAL_KEY && !(key === SWAP_KEY && value === NO_SWAP),
  );
  return { hugepages, unified: Object.fromEntries(vital) };
}

/**
 * Whether a container may run without a value that could not be written.
 * @param errno the error of the write.
 */
export function isOptional({ file, value }: KernelFile, errno: string | undefined): boolean {
  return file === OPTIONAL_KEY || (file === SWAP_KEY && value === NO_SWAP && errno === 'ENOENT');
}

/**
 * Checks that dockbridge can write the values here. The Engine cannot write them, because its API has no field for them.
 * @throws UNIMPLEMENTED or FAILED_PRECONDITION if dockbridge cannot write them either.
 */
export function requireWritable(wanted: KernelValues, node: KernelSurroundings, field: string): void {
  const values = vitalValues(wanted);
  if (!hasKernelValues(values)) return;
  const first = `${field}.${Object.keys(values.hugepages).length > 0 ? 'hugepage_limits' : 'unified'}`;
  if (!node.localEngine)
    throw unsupported(first, 'the Engine API has no field for it, and the Engine is on another machine');
  if (Object.keys(values.unified).length > 0 && node.cgroupVersion !== 2)
    throw failedPrecondition(`${field}.unified: needs cgroup v2, which this node does not have`);
  if (Object.keys(values.hugepages).length > 0 && !node.hugetlb)
    throw failedPrecondition(`${field}.hugepage_limits: the hugetlb control groups are not mounted here`);
}

/** A file of a container's cgroup with the value to write. */
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
 * Merges `added` into `known`; `added` wins. After an update, a container may have keys that its label lacks, because a
 * label cannot change.
 */
export function mergedKernelValues(known: KernelValues, added: KernelValues): KernelValues {
  return {
    hugepages: { ...known.hugepages, ...added.hugepages },
    unified: { ...known.unified, ...added.unified },
  };
}
