import type { Explanation } from '../explanation';

/** Why runtimes differ, and what to do when pods move. Several explanations can share one text. */
type Advice = Pick<Explanation, 'because' | 'advice'>;

const HOSTS: Advice = {
  because:
    "Docker generates a pod's whole /etc/hosts, and containerd copies the node's. Pods of a kubelet see neither file, because kubelet mounts its own file there.",
};
const DOCKER_HOSTS =
  /^(127\.0\.0\.1 localhost|::1 localhost ip6-localhost ip6-loopback|f[ef]0[02]::\S* ip6-\w+|<address \d> \S+)$/;
const IPV6_SWITCH: Advice = {
  because:
    'Engine 20.10 sets net.ipv6.conf.all.disable_ipv6 in the network namespaces that it creates. lo and eth0 have IPv6 nevertheless, but an interface that is added later starts without it.',
  advice:
    'This matters only to pods that add network interfaces, such as VPN clients. Check how they set this value.',
};
const NEWER_CAPABILITIES: Advice = {
  because:
    'Engine 20.10 does not know the capabilities PERFMON, BPF and CHECKPOINT_RESTORE, and does not give them even to privileged containers.',
  advice:
    'Nothing is lost by the move: privileged containers get more capabilities. Containers that need only BPF or PERFMON no longer have to be privileged.',
};
const PRIVILEGED_BY_PARTS: Advice = {
  because:
    "Because this node lacks a capability, dockbridge cannot use the Engine's Privileged option and sets the individual privileges instead (ADR 0012). Docker mounts /sys and the control groups writable only with the Privileged option. The container may remount them.",
  advice:
    'Nodes with all capabilities do not have this difference. On this node, privileged pods can write to /sys without a remount after the move.',
};
const LINE_ENDS: Advice = {
  because:
    "If a line ends with a carriage return, containerd removes this character from the log, and Docker keeps it. Every line of a terminal's output ends with a carriage return.",
  advice:
    'Check that programs that read these logs accept lines with and without a carriage return. A filter that removes carriage returns is no longer needed.',
};
const STOP_SIGNAL: Advice = {
  because:
    "containerd 2.1 does not know a pod's stop signal (Kubernetes 1.33) and sends the image's stop signal, or SIGTERM. containerd 2.3 sends the pod's.",
  advice:
    'Set STOPSIGNAL in the image, or handle SIGTERM. Otherwise a pod that reacts only to its own signal is killed after its grace period.',
};

const UNPRIVILEGED_PORTS: Advice = {
  because:
    'Docker and containerd 2 let every process of a pod bind ports below 1024. containerd 1.x does so only with enable_unprivileged_ports in its configuration.',
  advice:
    'Set enable_unprivileged_ports = true in the CRI plugin, or find the pods that listen on such a port as a non-root user, because they fail with EACCES.',
};
const UNPRIVILEGED_ICMP: Advice = {
  because:
    'Docker and containerd 2 let every process of a pod send ICMP echo requests. containerd 1.x does so only with enable_unprivileged_icmp in its configuration.',
  advice:
    'Set enable_unprivileged_icmp = true in the CRI plugin, or give the sysctl or NET_RAW to pods that ping as a non-root user.',
};

/** Differences between Docker Engine and containerd's own CRI, and between older and newer versions of each. */
export const DOCKER_AND_CONTAINERD: readonly Explanation[] = [
  {
    effect: '/etc/hosts',
    sides: [
      { runtime: 'docker', value: DOCKER_HOSTS },
      { runtime: 'containerd', value: /./ },
    ],
    ...HOSTS,
  },
  {
    // For nodes whose /etc/hosts has no line that Docker's file lacks.
    effect: '/etc/hosts',
    sides: [{ runtime: 'docker', value: DOCKER_HOSTS }, { runtime: 'containerd' }],
    ...HOSTS,
  },
  {
    effect: '/etc/hosts',
    sides: [
      { runtime: 'docker', value: /^f[ef]00::0 ip6-/ },
      { runtime: 'docker', value: /^f[ef]00:: ip6-/ },
    ],
    because:
      'Newer Engines write the same addresses in a different form. Pods of a kubelet do not see this, because kubelet mounts its own file there.',
  },
  {
    effect: 'cgroup path',
    sides: [
      { runtime: 'docker', value: /^\/docker\/<container>$/ },
      { runtime: 'containerd', value: /^\/k8s\.io\/<container>$/ },
    ],
    because:
      'If a pod does not name a parent control group, each runtime uses its own default. A kubelet always names one, and both runtimes use it.',
  },
  {
    effect: 'cgroup devices.list',
    sides: [{ runtime: 'docker', value: /^c 5:1 rwm$/ }, { runtime: 'containerd' }],
    because:
      "Docker allows the device c 5:1, which is the node's console. Containers have no device node for it unless they create one.",
    advice:
      'A pod that creates a device node for the console and writes to it needs the console as a device, or must be privileged.',
  },
  {
    effect: 'namespace uts',
    sides: [
      { runtime: 'docker', value: /^own$/ },
      { runtime: 'containerd', value: /^pod$/ },
    ],
    because:
      "With Docker, each container has its own UTS namespace with the pod's hostname. With containerd, the containers of a pod share one UTS namespace.",
    advice:
      'After the move, a container that changes its hostname (which needs CAP_SYS_ADMIN) changes it for the whole pod.',
  },
  {
    effect: 'sysctl net.ipv6.conf.all.disable_ipv6',
    sides: [
      { runtime: 'docker < 28', value: /^1$/ },
      { runtime: 'containerd', value: /^0$/ },
    ],
    ...IPV6_SWITCH,
  },
  {
    effect: 'sysctl net.ipv6.conf.all.disable_ipv6',
    sides: [
      { runtime: 'docker < 28', value: /^1$/ },
      { runtime: 'docker >= 28', value: /^0$/ },
    ],
    ...IPV6_SWITCH,
  },
  {
    effect: '*capabilities.*',
    sides: [
      { runtime: 'docker < 23' },
      { runtime: 'containerd', value: /^(PERFMON|BPF|CHECKPOINT_RESTORE)$/ },
    ],
    ...NEWER_CAPABILITIES,
  },
  {
    effect: '*capabilities.*',
    sides: [
      { runtime: 'docker < 23' },
      { runtime: 'docker >= 23', value: /^(PERFMON|BPF|CHECKPOINT_RESTORE)$/ },
    ],
    ...NEWER_CAPABILITIES,
  },
  {
    effect: 'mount /sys',
    container: 'privileged*',
    sides: [
      { runtime: 'docker', value: /^sysfs nodev,noexec,nosuid,ro$/ },
      { runtime: 'containerd', value: /^sysfs nodev,noexec,nosuid,rw$/ },
    ],
    ...PRIVILEGED_BY_PARTS,
  },
  {
    effect: 'controllers',
    container: 'privileged*',
    sides: [
      { runtime: 'docker', value: /^\S+: cgroup nodev,noexec,nosuid,ro (slave|shared)$/ },
      { runtime: 'containerd', value: /^\S+: cgroup nodev,noexec,nosuid,rw (slave|shared)$/ },
    ],
    pairedBy: /^[^:]+:/,
    ...PRIVILEGED_BY_PARTS,
  },
  {
    effect: 'end',
    container: 'process/signal',
    sides: [
      { runtime: 'docker', value: /^exit code 4, Error$/ },
      { runtime: 'containerd < 2.3', value: /^exit code 3, Error$/ },
    ],
    ...STOP_SIGNAL,
  },
  {
    effect: 'log stdout 3',
    container: 'process/signal',
    sides: [
      { runtime: 'docker', value: /^F "effects: ended by USR1"$/ },
      { runtime: 'containerd < 2.3', value: /^F "effects: ended by TERM"$/ },
    ],
    ...STOP_SIGNAL,
  },
  {
    effect: 'exec.env TERM',
    container: 'process/terminal',
    sides: [{ runtime: 'docker' }, { runtime: 'containerd', value: /^"xterm"$/ }],
    because:
      'With containerd, a command run by exec has the environment of the container, which includes TERM if the container has a terminal. Docker sets TERM only if the command itself has a terminal.',
    advice:
      'Probes and scripts that are run by exec must not use TERM to decide whether a person reads their output.',
  },
  {
    effect: 'log stdout *',
    container: 'process/terminal',
    sides: [
      { runtime: 'docker', value: /^F ".*\\r"$/ },
      { runtime: 'containerd', value: /^F ".*(?<!\\r)"$/ },
    ],
    ...LINE_ENDS,
  },
  {
    effect: 'log stdout 7',
    container: 'log/lines',
    sides: [
      { runtime: 'docker', value: /^F "tab\\tand return\\r"$/ },
      { runtime: 'containerd', value: /^F "tab\\tand return"$/ },
    ],
    ...LINE_ENDS,
  },
  {
    effect: 'log stdout 9',
    container: 'log/lines',
    sides: [
      { runtime: 'docker', value: /^F "no UTF-8: \ufffd\ufffd"$/ },
      { runtime: 'containerd', value: /^F bytes 6e6f205554462d383a20fffe$/ },
    ],
    because:
      'Docker keeps logs as JSON, in which bytes that are not UTF-8 become U+FFFD and are lost. containerd writes all bytes as they are.',
    advice:
      'After the move, logs contain the real bytes. Check that the log collector accepts text that is not UTF-8.',
  },
  {
    effect: 'sysctl net.ipv4.ip_unprivileged_port_start',
    sides: [
      { runtime: 'docker', value: /^0$/ },
      { runtime: 'containerd < 2', value: /^1024$/ },
    ],
    ...UNPRIVILEGED_PORTS,
  },
  {
    effect: 'sysctl net.ipv4.ip_unprivileged_port_start',
    sides: [
      { runtime: 'containerd >= 2', value: /^0$/ },
      { runtime: 'containerd < 2', value: /^1024$/ },
    ],
    ...UNPRIVILEGED_PORTS,
  },
  {
    effect: 'sysctl net.ipv4.ping_group_range',
    sides: [
      { runtime: 'docker', value: /^0 2147483647$/ },
      { runtime: 'containerd < 2', value: /^1 0$/ },
    ],
    ...UNPRIVILEGED_ICMP,
  },
  {
    effect: 'sysctl net.ipv4.ping_group_range',
    sides: [
      { runtime: 'containerd >= 2', value: /^0 2147483647$/ },
      { runtime: 'containerd < 2', value: /^1 0$/ },
    ],
    ...UNPRIVILEGED_ICMP,
  },
];
