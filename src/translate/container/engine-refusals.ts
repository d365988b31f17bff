/** Words of the Engine's refusals, and the field that each is about. The first match counts. */
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

/** The words of Engines from 23.0 on, and of earlier ones. */
const RUNTIME = /unknown or invalid runtime name|unknown runtime specified/i;
const OF_SANDBOX: readonly (readonly [words: RegExp, field: string])[] = [
  [RUNTIME, 'runtime_handler'],
  [/hostname/i, 'config.hostname'],
  [/cgroup.?parent/i, 'config.linux.cgroup_parent'],
  [/sysctl/i, 'config.linux.sysctls'],
  [/container ?port|port (?:specification|mapping|binding)|port bindings/i, 'config.port_mappings'],
  [/seccomp/i, 'config.linux.security_context.seccomp'],
  [/apparmor/i, 'config.linux.security_context.apparmor'],
  [/selinux|security-opt 2: "?label/i, 'config.linux.security_context.selinux_options'],
  [/is not an ip address|\bdns\b|search domain/i, 'config.dns_config'],
  [/label/i, 'config.labels'],
];

/** The field of RunPodSandbox that a refusal is about. */
export function fieldOfSandboxRefusal(text: string): string | undefined {
  return OF_SANDBOX.find(([words]) => words.test(text))?.[1];
}

/** What a 404 of a create call is about; only the text tells. */
export function missingOf(text: string): 'image' | 'container' | undefined {
  if (/\bno such image\b|\bimage\b.*\bnot found\b|\bmanifest unknown\b/i.test(text)) return 'image';
  return /\bno such container\b/i.test(text) ? 'container' : undefined;
}

/** Whether the Engine refused a runtime, which is a matter of the pod and not of its container. */
export function isRuntimeRefusal(text: string): boolean {
  return RUNTIME.test(text);
}

/**
 * The field of a request that a refusal is about. It is only shown to people and decides nothing, so if an Engine changes its
 * words, only the field is missing from the message.
 * @param resources the path of the resources in the request.
 * @param others the prefix of the other fields.
 */
export function fieldOfRefusal(text: string, resources: string, others: string): string | undefined {
  const limit = OF_RESOURCES.find(([words]) => words.test(text));
  if (limit !== undefined) return `${resources}.${limit[1]}`;
  const other = OF_OTHERS.find(([words]) => words.test(text));
  return other === undefined ? undefined : `${others}${other[1]}`;
}
