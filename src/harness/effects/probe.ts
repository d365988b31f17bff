import { randomBytes } from 'node:crypto';

export interface Executed {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A container in which commands can be run. */
export interface Container {
  exec(command: readonly string[]): Promise<Executed>;
}

/** The parts of a probe's output by their names. If a file cannot be read, its part is missing, or there is also a part `NAME unreadable`. */
export type Sections = ReadonlyMap<string, string>;

const OWN_CGROUP_V1 = [
  ...[
    'memory/memory.limit_in_bytes',
    'memory/memory.memsw.limit_in_bytes',
    'memory/memory.soft_limit_in_bytes',
  ],
  ...['cpu/cpu.shares', 'cpu/cpu.cfs_quota_us', 'cpu/cpu.cfs_period_us'],
  ...['cpuset/cpuset.cpus', 'cpuset/cpuset.mems', 'pids/pids.max', 'devices/devices.list'],
];
const OWN_CGROUP_V2 = [
  ...['memory.max', 'memory.swap.max', 'memory.high', 'memory.min', 'memory.low', 'memory.oom.group'],
  ...['cpu.weight', 'cpu.max', 'cpuset.cpus.effective', 'cpuset.mems.effective', 'pids.max'],
];
/**
 * Sysctls that pods often set, or that restrict what a pod can do. Others, such as `net.ipv4.ip_forward`, are not compared, because
 * a new namespace takes them from the node.
 */
const SYSCTLS = [
  ...['kernel.domainname', 'kernel.shm_rmid_forced', 'kernel.shmmax', 'kernel.msgmax', 'fs.mqueue.msg_max'],
  ...['net.core.somaxconn', 'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.ping_group_range'],
  ...['net.ipv4.ip_local_port_range', 'net.ipv4.tcp_keepalive_time'],
  ...['all', 'lo', 'eth0'].map((interfaceName) => `net.ipv6.conf.${interfaceName}.disable_ipv6`),
];

/**
 * Reads everything in one run of busybox's shell, because starting a process takes longer than reading. `$1` is the line that begins each
 * section, and `$2` is a word in the command line of the container's main process. The script waits for this process, because
 * StartContainer may return before the process has executed its command.
 */
const SCRIPT = String.raw`
boundary=$1 marker=$2 main=
section() { printf '\n%s %s\n' "$boundary" "$1"; }
file() { [ ! -r "$2" ] || { section "$1"; cat "$2" 2>/dev/null || section "$1 unreadable"; }; }
link() { target=$(readlink "$2" 2>/dev/null) && { section "$1"; printf '%s' "$target"; }; }
tries=0
while [ -z "$main" ] && [ $tries -lt 10 ]; do
  for process in /proc/[0-9]*; do
    [ "$process" != /proc/$$ ] || continue
    case $(tr '\0' ' ' 2>/dev/null <"$process/cmdline") in *"$marker"*) main=$process; break ;; esac
  done
  [ -n "$main" ] || { tries=$((tries + 1)); sleep 1; }
done
section main; printf '%s' "$main"
for of in "main $main" "exec /proc/$$"; do
  process=${'$'}{of#* } of=${'$'}{of%% *}
  for name in status limits cgroup environ oom_score_adj; do file "$of.$name" "$process/$name"; done
  file "$of.label" "$process/attr/current"
  link "$of.cwd" "$process/cwd"
  for name in 0 1 2; do link "$of.fd.$name" "$process/fd/$name"; done
done
file mountinfo "$main/mountinfo"
for name in cgroup ipc mnt net pid time user uts; do link "namespace.$name" "$main/ns/$name"; done
section hostname; hostname
for name in hostname hosts resolv.conf; do file "/etc/$name" "/etc/$name"; done
for name in ${SYSCTLS.join(' ')}; do file "sysctl.$name" "/proc/sys/$(echo "$name" | tr . /)"; done
for name in ${OWN_CGROUP_V1.join(' ')}; do file "cgroup1.$name" "/sys/fs/cgroup/$name"; done
own=$(sed -n 's/^0:://p' "$main/cgroup" 2>/dev/null)
[ -e "/sys/fs/cgroup$own/cgroup.controllers" ] || own=
for name in ${OWN_CGROUP_V2.join(' ')}; do file "cgroup2.$name" "/sys/fs/cgroup$own/$name"; done
section devices; stat -c '%n|%F|%t:%T|%a|%u:%g' /dev/* 2>/dev/null
section interfaces
for name in /sys/class/net/*; do echo "${'$'}{name##*/} $(cat "$name/mtu" 2>/dev/null)"; done
section access
try() { if "$@" >/dev/null 2>&1; then echo "$what yes"; else echo "$what no"; fi; }
opens() { (: <"$1"); }
writes() { (: >"$1"); }
for name in / /dev/shm /effects/*; do
  [ ! -d "$name" ] || what="write $name" try writes "$name/.$marker"
done
# The control group decides whether a device can be opened.
for name in /dev/effects-*; do
  [ -e "$name" ] || continue
  what="read $name" try opens "$name"
  what="write $name" try writes "$name"
done
# These attempts show what seccomp, capabilities and kernel settings allow together.
what='ping' try ping -c 1 -W 1 127.0.0.1
what='unshare users' try unshare -U true
what='unshare mounts' try unshare -m true
what='change root' try chroot / true
section end
`;

/**
 * Reads what can be seen from inside a container.
 * @param marker a word in the command line of the container's main process, and of no other process that is visible in the container.
 * @throws Error if the script does not run to its end.
 */
export async function probe(container: Container, marker: string): Promise<Sections> {
  const boundary = `--${randomBytes(8).toString('hex')}`;
  const { stdout, stderr, exitCode } = await container.exec(['sh', '-c', SCRIPT, 'probe', boundary, marker]);
  const sections = sectionsIn(stdout, boundary);
  if (!sections.has('end')) {
    const why = stderr.trim() === '' ? 'its output is incomplete' : stderr.trim();
    throw new Error(`the probe failed (exit code ${exitCode}): ${why}`);
  }
  if ((sections.get('main') ?? '') === '')
    throw new Error("the probe did not find the container's main process");
  return sections;
}

/** Splits the output into sections. @param boundary begins the line before each section. It is random, so no section contains it. */
export function sectionsIn(output: string, boundary: string): Map<string, string> {
  const sections = new Map<string, string>();
  // The text before the first section is skipped.
  for (const part of output.split(`\n${boundary} `).slice(1)) {
    const end = part.indexOf('\n');
    sections.set(part.slice(0, end), part.slice(end + 1));
  }
  return sections;
}
