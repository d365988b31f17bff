/** What the Engine says when it refuses a request, and the field that it means; the first that fits counts. */
const OF_RESOURCES: readonly (readonly [words: RegExp, field: string])[] = [
  [/cpuset cpus|Requested CPUs/, 'cpuset_cpus'],
  [/cpuset mems|Requested memory nodes/, 'cpuset_mems'],
  [/memory ?swap/i, 'memory_swap_limit_in_bytes'],
  [/memory limit/i, 'memory_limit_in_bytes'],
  [/cfs quota/i, 'cpu_quota'],
  [/cfs period/i, 'cpu_period'],
];
const OF_OTHERS: readonly (readonly [words: RegExp, field: string])[] = [
  [/^Cannot mkdir: |working directory/, 'working_dir'],
  [/^(?:Duplicate mount point|invalid mount config|invalid volume spec)/i, 'mounts'],
];

/**
 * For people only: nothing is decided by it, so a refusal that an Engine words in a new way just names no field.
 * @param resources the path of the resources in the request.
 * @param others what stands before the other fields.
 */
export function fieldOfRefusal(text: string, resources: string, others: string): string | undefined {
  const limit = OF_RESOURCES.find(([words]) => words.test(text));
  if (limit !== undefined) return `${resources}.${limit[1]}`;
  const other = OF_OTHERS.find(([words]) => words.test(text));
  return other === undefined ? undefined : `${others}${other[1]}`;
}
