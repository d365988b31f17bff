import { posix } from 'node:path';
import type { MountRecord } from '../../store/records';

/** Words of the Engine's refusals with the field that each concerns. The first match counts. */
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

/** The words of Engines from 23.0 on and of earlier Engines. */
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

/** Returns the field of RunPodSandbox that a refusal concerns; undefined when the text does not reveal it. */
export function fieldOfSandboxRefusal(text: string): string | undefined {
  return OF_SANDBOX.find(([words]) => words.test(text))?.[1];
}

/** Returns what was missing when a create call got a 404. Only the text of the error shows this. */
export function missingOf(text: string): 'image' | 'container' | undefined {
  if (/\bno such image\b|\bimage\b.*\bnot found\b|\bmanifest unknown\b/i.test(text)) return 'image';
  return /\bno such container\b/i.test(text) ? 'container' : undefined;
}

/** Whether the Engine refused a runtime, which the pod requested and not its container. */
export function isRuntimeRefusal(text: string): boolean {
  return RUNTIME.test(text);
}

/**
 * Returns the field of a request that a refusal concerns. It is only shown to people and decides nothing. If an Engine
 * changes its words, the message therefore only lacks the field.
 * @param resources the path of the resources in the request.
 * @param others the prefix of all other fields.
 */
export function fieldOfRefusal(text: string, resources: string, others: string): string | undefined {
  const limit = OF_RESOURCES.find(([words]) => words.test(text));
  if (limit !== undefined) return `${resources}.${limit[1]}`;
  const other = OF_OTHERS.find(([words]) => words.test(text));
  return other === undefined ? undefined : `${others}${other[1]}`;
}

/** The text that runc (from 1.1 on, or earlier) writes before an error that happened inside the container. */
const IN_CONTAINER =
  '(?:unable to start container process: |starting container process caused: )(?:error during container init: |process_linux\\.go:\\d+: |container init caused: )*';
/** The beginning of crun's errors, which do not name crun. */
const BY_CRUN = 'OCI runtime create failed: ';
const MOUNT = 'mounting "(\\/[^"]*)" to rootfs at "([^"]+)"(?::| caused:)';

/** @param at returns the field of the mount that has this path. */
type Cause = readonly [
  pattern: RegExp,
  meaning: (...parts: string[]) => string,
  field?: (at: MountFields, ...parts: string[]) => string,
];

interface MountFields {
  /** Returns, for example, `config.mounts[1].host_path`, or `config.mounts` when no mount has the path. */
  readonly source: (path: string) => string;
  readonly target: (path: string) => string;
  readonly propagation: (source: string) => string;
}

/**
 * Errors of the Engine and the OCI runtimes for a container that cannot start, with their meaning for the author of the
 * pod. Go's `exec: "NAME"` is part of many errors. NAME is the pod's command only after the runtime's words for the
 * container's own process. Elsewhere, NAME is a program of the node that the Engine or a runtime could not run.
 */
const CAUSES: readonly Cause[] = [
  [
    new RegExp(
      `${IN_CONTAINER}exec: "([^"]*)": (?:stat .*(?:no such file or|not a) directory|executable file not found)`,
    ),
    commandNotFound,
  ],
  [new RegExp(`${BY_CRUN}executable file \`([^\`]+)\` not found`), commandNotFound],
  // gVisor and Kata Containers write these errors: the first for a command without a slash, the second for any command.
  [/error finding executable "([^"]+)" in PATH/, commandNotFound],
  [/^(?:rpc error: .*? desc = )?the file (\S+) was not found/, commandNotFound],
  [
    // This rule must stay before the next one, because the Engine appends "permission denied" to this error.
    new RegExp(`${IN_CONTAINER}exec: "([^"]+)": is a directory`),
    (file) => `not a program: "${file}" is a directory`,
  ],
  [
    new RegExp(`${IN_CONTAINER}exec: "([^"]+)": permission denied`),
    (file) => `permission denied: "${file}" is not executable`,
  ],
  [
    new RegExp(`${BY_CRUN}the path \`([^\`]+)\` exists but it is not executable`),
    (file) => `permission denied: "${file}" is not executable`,
  ],
  [
    new RegExp(`${BY_CRUN}the path \`([^\`]+)\` is not a regular file`),
    (file) => `not a program: "${file}" is not a regular file`,
  ],
  [
    new RegExp(`${BY_CRUN}open executable: Permission denied`),
    () => 'permission denied: the command is not executable',
  ],
  [
    new RegExp(`${IN_CONTAINER}exec: "([^"]+)": exec format error`),
    (file) => `"${file}" is not a program for this kind of machine`,
  ],
  [new RegExp(`${IN_CONTAINER}chdir to cwd \\("([^"]+)"\\) [^:]*: (.+)`), cannotEnter, ofWorkingDir],
  [new RegExp(`${BY_CRUN}chdir (?:to )?\`([^\`]+)\`: (.+)`), cannotEnter, ofWorkingDir],
  [
    /bind source path does not exist: (.+)/,
    (path) => `mount source missing: "${path}" does not exist on the node`,
    (at, path) => at.source(path),
  ],
  [
    new RegExp(`${MOUNT}.*cannot be mounted because it is `),
    (source, target) => `cannot mount "${source}" on "${target}": the kernel owns that path`,
    (at, _, target) => at.target(target),
  ],
  [
    new RegExp(`${MOUNT}.*(?:mountpoint|subdirectories|mkdir|o_path procfd).*not a directory`),
    (source, target) => `cannot mount "${source}" on "${target}": a part of that path is a file in the image`,
    (at, _, target) => at.target(target),
  ],
  [new RegExp(`${MOUNT}.*not a directory`), wrongKind, (at, source) => at.source(source)],
  [/mount `([^`]+)` to `([^`]+)`: Not a directory/, wrongKind, (at, source) => at.source(source)],
  [
    // If the target cannot be created, the error ends with the same words, so such errors are excluded.
    new RegExp(`${MOUNT}(?!.*(?:mountpoint|subdirectories|mkdir)).*no such file or directory`),
    (path) => `mount source missing: "${path}" does not exist on the node`,
    (at, path) => at.source(path),
  ],
  [
    /cannot access path .*: no such file or directory/,
    () => 'the sub-path of an image mount is not in that image',
  ],
  [
    /path (\/.*?) is mounted on .* but it is not a (shared|shared or slave) mount/,
    (path, kind) =>
      `mount propagation: "${path}" is not on a ${kind} mount (mount --make-rshared creates one)`,
    (at, path) => at.propagation(path),
  ],
  [/unable to find user (\S+):/, (user) => `user "${user}" is not in the image's /etc/passwd`],
  [/unable to find group (\S+):/, (group) => `group "${group}" is not in the image's /etc/group`],
  [
    /adding custom device "([^"]+)"/,
    (path) => `device missing: "${path}" is not a device of the node`,
    () => 'config.devices',
  ],
  [
    /unresolvable CDI devices (.+)/,
    (names) => `CDI device unknown: no specification on the node names ${names}`,
    () => 'config.CDI_devices',
  ],
  // The next rule matches only errors inside the container, because the Engine also writes sysctls itself.
  [new RegExp(`${IN_CONTAINER}open \\/proc\\/sys\\/(\\S+): no such file`), unknownSysctl, ofSysctls],
  // runc writes this from 1.5 on. The path after the sysctl's name is in a separate procfs.
  [new RegExp(`${IN_CONTAINER}open sysctl (\\S+) file: .*no such file`), unknownSysctl, ofSysctls],
  [
    new RegExp(`${IN_CONTAINER}failed to write sysctl (\\S+) = .*: (?:invalid argument|numerical result)`),
    refusedValue,
    ofSysctls,
  ],
  // crun before 1.9 writes the path without quotes.
  [new RegExp(`${BY_CRUN}open \`?\\/proc\\/sys\\/([^\`:]+)\`?: No such file`), unknownSysctl, ofSysctls],
  [
    new RegExp(`${IN_CONTAINER}write \\/proc\\/sys\\/(\\S+): (?:invalid argument|numerical result)`),
    refusedValue,
    ofSysctls,
  ],
  [
    new RegExp(
      `${BY_CRUN}write to \`?\\/proc\\/sys\\/([^\`: ]+)\`?.*: (?:Invalid argument|Numerical result)`,
    ),
    refusedValue,
    ofSysctls,
  ],
  [/sysctl "([^"]+)" (?:is not in a separate kernel namespace|(?:is )?not allowed)/, sharedSysctl, ofSysctls],
  [
    /the sysctl `([^`]+)` (?:is not namespaced|requires a new \S+ namespace|conflicts with)/,
    sharedSysctl,
    ofSysctls,
  ],
  [
    /sethostname: invalid argument/,
    () => 'the kernel does not accept the host name',
    () => 'config.hostname',
  ],
  [
    /Bind for \S*?:(\d+) failed: port is already allocated/,
    (port) => `host port taken: another pod or container uses ${port}`,
    () => 'config.port_mappings',
  ],
  [
    /listen (?:tcp|udp|sctp)\d? (\S+): bind: address already in use/,
    (address) => `host port taken: a process of the node uses ${address}`,
    () => 'config.port_mappings',
  ],
  [
    /listen (?:tcp|udp|sctp)\d? (\S+): bind: cannot assign requested address/,
    (address) => `host address unknown: the node does not have the address in ${address}`,
    () => 'config.port_mappings',
  ],
  [
    // Engines from 28 on write this for a port that they bind themselves, first as `0.0.0.0:80:172.17.0.2:80/tcp`, later
    // as `0.0.0.0:80/tcp`.
    /failed to bind host port (?:for )?((?:\[\S+?\]|[^:\s]+):\d+)\S*: address already in use/,
    (address) => `host port taken: a process of the node uses ${address}`,
    () => 'config.port_mappings',
  ],
  [
    /failed to bind host port (?:for )?((?:\[\S+?\]|[^:\s]+):\d+)\S*: cannot assign requested address/,
    (address) => `host address unknown: the node does not have the address in ${address}`,
    () => 'config.port_mappings',
  ],
  [
    /write \S*\/(?:cpu\.cfs_quota_us|cpu\.cfs_period_us|cpu\.max): invalid argument/,
    () => 'the kernel does not accept the CPU limit',
    () => 'config.linux.resources.cpu_quota',
  ],
  [
    /container init was OOM-killed|OOM: the memory limit could be too low/,
    () => 'out of memory: the memory limit is too low for the container to start',
    () => 'config.linux.resources.memory_limit_in_bytes',
  ],
  [
    /runtime "([^"]+)" binary not installed "([^"]+)"/,
    (name, file) => `runtime "${name}" is not installed: dockerd finds no ${file} in its PATH`,
  ],
  [
    /unable to retrieve OCI runtime error.*(?:exec: "|fork\/exec )([^":]+)"?: (?:.*no such file or directory|executable file not found)/,
    (file) => `the OCI runtime is not installed: the node has no "${file}"`,
  ],
  [
    /AppArmor enabled on system but .* could not be loaded.*exec: "([^"]+)": executable file not found/s,
    (file) => `the node lacks ${file}: install its AppArmor tools, or start Linux with apparmor=0`,
  ],
  [
    /(?:exec: "|fork\/exec )([^":]+)"?: (?:executable file not found|no such file or directory|stat .*no such file)/,
    (file) => `the node lacks "${file}", which the Engine or its OCI runtime tried to run`,
  ],
];

/** Prefixes that the Engine and containerd add to every failure. The actual error follows them. */
const NOISE = /^(?:failed to create task for container: |failed to create shim task: )+/;

/**
 * Puts the meaning of a failed start, if it is known, in front of the Engine's text. The meaning is only shown to people
 * and decides nothing. If an Engine changes its words, the message therefore only lacks the meaning.
 * @param mounts the container's mounts, so that the text can name the faulty one.
 */
export function explainStartError(text: string, mounts: readonly MountRecord[] = []): string {
  const plain = text.replace(NOISE, '').replace(/: unknown$/, '');
  for (const [pattern, meaning, field] of CAUSES) {
    const [match, ...parts] = pattern.exec(plain) ?? [];
    if (match === undefined) continue;
    const see = field === undefined ? '' : `, see ${field(fieldsOf(mounts), ...parts)}`;
    return `${meaning(...parts)}${see} (${plain})`;
  }
  return plain;
}

function fieldsOf(mounts: readonly MountRecord[]): MountFields {
  const clean = (path: string): string => posix.join('/', path, '/');
  const field = (key: 'hostPath' | 'containerPath', path: string, name: string): string => {
    const index = mounts.findIndex((mount) => mount[key] !== '' && clean(mount[key]) === clean(path));
    return index === -1 ? 'config.mounts' : `config.mounts[${index}].${name}`;
  };
  return {
    source: (path) => field('hostPath', path, 'host_path'),
    target: (path) => field('containerPath', path, 'container_path'),
    propagation: (path) => field('hostPath', path, 'propagation'),
  };
}

function commandNotFound(file: string): string {
  return `command not found: "${file}" is not in the image`;
}

function ofSysctls(): string {
  return 'config.linux.sysctls';
}

function ofWorkingDir(): string {
  return 'config.working_dir';
}

function cannotEnter(directory: string, why: string): string {
  return `cannot enter the working directory "${directory}": ${why.toLowerCase()}`;
}

function refusedValue(path: string): string {
  return `sysctl refused: the kernel does not accept that value for ${path.replaceAll('/', '.')}`;
}

function sharedSysctl(name: string): string {
  return `sysctl refused: ${name} is shared with the node`;
}

function unknownSysctl(path: string): string {
  return `sysctl unknown: ${path.replaceAll('/', '.')}`;
}

function wrongKind(source: string, target: string): string {
  return `cannot mount "${source}" on "${target}": one is a directory and the other is not`;
}
