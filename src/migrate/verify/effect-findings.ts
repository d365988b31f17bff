import type { EffectComparison, EffectRow } from '../../harness/effects/compare-effects';
import type { Finding } from '../finding';
import { finding, shortened, type Evidence, type Severity } from '../inventory/finding-of';

interface Meaning {
  /** Matches the name of an effect, without the prefix of processes that exec starts. */
  readonly effect: RegExp;
  readonly id: string;
  readonly summary: string;
  readonly advice: string;
}

/** What a difference in an effect means, by its name. Each effect has the first meaning that fits. */
const MEANINGS: readonly Meaning[] = [
  {
    effect: /^(pod )?starts$/,
    id: 'verify-start',
    summary: 'Pods with the same specification start on one side only, or are refused for different reasons.',
    advice:
      'The messages above name the reason. Correct the configuration of B, or change pods that ask for this.',
  },
  {
    effect: /^(uid|gid|groups|umask)$/,
    id: 'verify-identity',
    summary:
      'Processes have another user, other groups or another umask. They may lose access to files in volumes.',
    advice:
      'Set runAsUser, runAsGroup, supplementalGroups and fsGroup in the pods, so that they do not depend on the runtime.',
  },
  {
    effect: /^capabilities\./,
    id: 'verify-capabilities',
    summary:
      'Processes have other capabilities. With fewer, ping, chroot, chown or low ports fail; with more, containers are less confined.',
    advice:
      'CRI-O: set default_capabilities. containerd: look for capabilities in base_runtime_spec. Or name the capabilities in the pods.',
  },
  {
    effect: /^(seccomp|no_new_privs|security label|masked paths|read-only paths|can .*)$/,
    id: 'verify-confinement',
    summary:
      'Containers are confined differently: seccomp, AppArmor or SELinux, masked paths, or what they can do.',
    advice:
      'Compare the profiles of A and B (containerd: unset_seccomp_profile, enable_selinux; CRI-O: seccomp_profile, apparmor_profile), and set seccompProfile in the pods.',
  },
  {
    effect: /^(limit .*|oom_score_adj)$/,
    id: 'verify-limits',
    summary:
      'Processes have other resource limits (ulimit). With fewer open files, servers fail under load (EMFILE).',
    advice:
      'containerd: rlimits in base_runtime_spec, or LimitNOFILE in a drop-in of containerd.service. CRI-O: default_ulimits. `dockbridge migrate plan` writes them. Restart B, then create the pods again.',
  },
  {
    effect: /^cgroup /,
    id: 'verify-resources',
    summary: 'Containers have other limits of memory, CPU, processes or devices in their control groups.',
    advice: 'Compare the cgroup version and driver of A and B, and pids_limit of CRI-O.',
  },
  {
    effect: /^(mount .*|controllers|devices|working directory|fd \d)$/,
    id: 'verify-files',
    summary: 'Containers see other mounts, devices, or directories, such as another size of /dev/shm.',
    advice: 'Mount what the pods need as volumes; for /dev/shm use an emptyDir with medium Memory.',
  },
  {
    effect: /^(resolv\.conf .*|\/etc\/.*|hostname|interfaces|sysctl .*|namespace .*)$/,
    id: 'verify-network',
    summary: 'Containers have another name resolution, other host names, network settings or namespaces.',
    advice:
      'Check the CNI configuration and the sysctls that B sets (containerd: enable_unprivileged_ports, enable_unprivileged_icmp; CRI-O: default_sysctls), and dnsConfig of the pods.',
  },
  {
    effect: /^(log .*|end)$/,
    id: 'verify-logs',
    summary: 'The logs have other bytes, or containers end differently.',
    advice:
      'Check that the log shipper and the programs that read exit codes and reasons accept what B gives.',
  },
  {
    effect: /^env /,
    id: 'verify-environment',
    summary: 'Processes have other environment variables.',
    advice: 'Set the variables in the pods or in the image.',
  },
  {
    effect: /./,
    id: 'verify-other',
    summary: 'Containers differ in other properties.',
    advice: 'Decide whether pods of this node depend on them.',
  },
];

/** Returns a finding for each kind of unexplained difference between containers on A and B. */
export function effectFindings({ rows, containers }: EffectComparison): Finding[] {
  const byMeaning = new Map<Meaning, EffectRow[]>();
  for (const row of rows.filter(({ verdict }) => verdict === 'differs')) {
    const effect = row.effect.replace(/^exec\./, '');
    const meaning = MEANINGS.find((one) => one.effect.test(effect));
    if (meaning !== undefined) byMeaning.set(meaning, [...(byMeaning.get(meaning) ?? []), row]);
  }
  return [...byMeaning].map(([{ id, summary, advice }, ofMeaning]) =>
    finding(
      severityOf(id, ofMeaning),
      id,
      summary,
      advice,
      ofMeaning.map((row) => effectEvidence(row, containers.length)),
    ),
  );
}

/** A pod that B refuses keeps the node from moving. One that only A refuses does not. */
function severityOf(id: string, rows: readonly EffectRow[]): Severity {
  if (id !== 'verify-start') return 'change';
  return rows.some(({ b }) => b?.startsWith('refused') === true) ? 'block' : 'review';
}

/** @param all the number of all containers. */
export function effectEvidence({ effect, a, b, containers }: EffectRow, all: number): Evidence {
  const [first = '', second] = containers;
  const others = containers.length - 1;
  const where =
    containers.length === all && all > 1
      ? `all ${all} containers`
      : second === undefined
        ? first
        : `${first} and ${others} more`;
  return { where: `${effect} in ${where}`, what: `A: ${text(a)}; B: ${text(b)}` };
}

function text(value: string | undefined): string {
  if (value === undefined) return '-';
  return value === '' ? '(empty)' : shortened(value);
}
