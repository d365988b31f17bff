import { parseObject } from '../../lib/json';
import type { DiskFacts, NodeFacts, OpenFiles } from '../facts';
import { unsetKernelSettings } from '../kernel-settings';
import { count, engineSays, finding, linesIn, type Evidence, type Finding, type Theme } from './finding-of';
import { dataParent } from '../data-place';
import { placeOf, podContainers } from './pods';

/** What the machine has only because Docker is there, and what the new runtime needs of it. */
export const host: Theme = (facts) => [
  ...cgroupDriver(facts),
  ...cgroupVersion(facts),
  ...openFiles(facts),
  ...sysctls(facts),
  ...iptables(facts),
  ...disk(facts),
];

function cgroupDriver({ engine, kubelet }: NodeFacts): readonly Finding[] {
  if (engine === undefined) return [];
  const { CgroupDriver: ours } = engine.info;
  const theirs = kubelet?.cgroupDriver.value ?? '';
  const evidence = [
    engineSays(`CgroupDriver ${ours}`),
    ...(theirs === ''
      ? []
      : [{ where: placeOfSetting(kubelet?.cgroupDriver.from), what: `cgroupDriver ${theirs}` }]),
  ];
  if (theirs === '')
    return [
      finding(
        'review',
        'cgroup',
        `The Engine uses the cgroup driver ${ours}, and kubelet's is not in its files.`,
        'kubelet uses cgroupfs unless its configuration or the runtime says otherwise. Keep the present driver: to change it on a node with pods breaks the pods.',
        evidence,
      ),
    ];
  if (theirs === ours)
    return [
      finding(
        'ok',
        'cgroup',
        `kubelet and the Engine use the cgroup driver ${ours}, which the plan keeps.`,
        '',
        evidence,
      ),
    ];
  return [
    finding(
      'block',
      'cgroup',
      `kubelet uses the cgroup driver ${theirs} and the Engine ${ours}.`,
      'Drain the node and make both the same before the move, best systemd on cgroup v2.',
      evidence,
    ),
  ];
}

function placeOfSetting(from = ''): string {
  return from === 'flag' ? "kubelet's command line" : from;
}

function cgroupVersion({ engine, host: { cgroupVersion: seen } }: NodeFacts): readonly Finding[] {
  const version = engine?.info.CgroupVersion ?? (seen === undefined ? '' : String(seen));
  if (version !== '1') return [];
  return [
    finding(
      'review',
      'cgroup-v1',
      'The node uses cgroup v1, which containerd has deprecated since 2.2.',
      'The move works. Plan cgroup v2 for the next nodes: kubelet and containerd will drop v1.',
      [engineSays('CgroupVersion 1')],
    ),
  ];
}

/** systemd's default, which a service of containerd 2 has, because containerd no longer sets a limit. */
const SOFT_DEFAULT = 1_024;

function isAbove({ soft }: OpenFiles): boolean {
  return soft === 'unlimited' || Number(soft) > SOFT_DEFAULT;
}

function openFiles(facts: NodeFacts): readonly Finding[] {
  const written = Object.keys(facts.files)
    .filter((path) => /\/docker\.service(\.d\/|$)/.test(path))
    .flatMap((path) => linesIn(facts, path, /^\s*LimitNOFILE\s*=/));
  const running = podContainers(facts).flatMap((pod): Evidence[] => {
    const { OpenFiles: limits } = pod.container;
    if (pod.isSandbox || limits === undefined || !isAbove(limits)) return [];
    return [{ where: placeOf(pod), what: `open files: soft ${limits.soft}, hard ${limits.hard}` }];
  });
  const [example] = running;
  const daemon = (facts.processes?.programs ?? []).filter(
    ({ name, openFiles: limits }) => name === 'dockerd' && limits !== undefined && isAbove(limits),
  );
  if (example === undefined && written.length === 0 && daemon.length === 0) return [];
  return [
    finding(
      'change',
      'ulimits',
      running.length > 0
        ? `${count(running.length, 'container')} may open more files than containerd 2 allows by default (soft limit 1024).`
        : 'Containers may open more files on this Engine than on containerd 2 (soft limit 1024).',
      'The plan writes LimitNOFILE into a drop-in for the unit of the new runtime. Programs that raise their soft limit themselves need nothing.',
      [
        ...written,
        ...daemon.map(({ pid, openFiles: limits }) => ({
          where: `process ${pid} (dockerd)`,
          what: `open files: soft ${limits?.soft ?? ''}, hard ${limits?.hard ?? ''}`,
        })),
        ...running,
      ],
    ),
  ];
}

function sysctls(facts: NodeFacts): readonly Finding[] {
  const { sysctls: unset, modules } = unsetKernelSettings(facts);
  if (unset.length + modules.length === 0) return [];
  return [
    finding(
      'change',
      'sysctl',
      'Settings of the kernel that pods need are in no file: Docker has made them since the last boot.',
      'The plan writes them to /etc/sysctl.d and /etc/modules-load.d, because after a reboot without Docker nobody makes them.',
      [
        ...unset.map((name) => ({
          where: `/proc/sys/${name.replaceAll('.', '/')}`,
          what: `${name} = 1, in no file`,
        })),
        ...modules.map((name) => ({ where: '/etc/modules-load.d', what: `${name} is loaded, in no file` })),
      ],
    ),
  ];
}

function iptables({ engine, files }: NodeFacts): readonly Finding[] {
  if (engine === undefined) return [];
  const isOff =
    (engine.dockerdArguments ?? []).includes('--iptables=false') ||
    parseObject(files['/etc/docker/daemon.json']?.text ?? '')?.iptables === false;
  if (isOff) return [];
  return [
    finding(
      'review',
      'iptables',
      "Docker's rules for the firewall stay until the next boot, among them the policy DROP of the chain FORWARD.",
      'Reboot the node once after the move, before it serves pods again, or at the next maintenance.',
      [engineSays('manages iptables')],
    ),
  ];
}

/** Where containerd keeps its data unless the plan chooses a place. */
const TARGET = '/var/lib/containerd';

function disk(facts: NodeFacts): readonly Finding[] {
  const { engine, host: machine } = facts;
  if (engine === undefined) return [];
  const root = engine.info.DockerRootDir;
  const data = machine.disks.find(({ path }) => path === root);
  const parent = dataParent(root, machine.disks);
  // A place that depends on the data-root is on the file system of the data-root.
  const target = parent === '' ? machine.disks.find(({ path }) => path === TARGET) : data;
  if (data === undefined || target === undefined) return [];
  const place = parent === '' ? TARGET : `${parent}/containerd`;
  const used = new Set(podContainers(facts).map(({ container }) => container.Image));
  const bytes = engine.images.reduce((sum, { Id, Size }) => sum + (used.has(Id) ? Size : 0), 0);
  const evidence = target === data ? [diskEvidence(data)] : [diskEvidence(data), diskEvidence(target)];
  const isShort = target.freeBytes < bytes * 1.2;
  const isOnAnother = data.device !== target.device || (data.isMountPoint && target !== data);
  if (!isOnAnother && !isShort)
    return [
      finding(
        'ok',
        'disk',
        `There is room for a second copy of the images in use (${size(bytes)}).`,
        '',
        evidence,
      ),
    ];
  return [
    finding(
      'change',
      'disk',
      isShort
        ? `${place} has too little room for a second copy of the images in use (${size(bytes)}).`
        : `The Engine's data has a volume of its own, and ${TARGET} would be on another disk.`,
      isOnAnother
        ? `Mount another volume at ${TARGET} (CRI-O: /var/lib/containers), or give it the volume of ${root} when Docker is gone.`
        : 'Remove unused images, or give the new runtime a volume of its own.',
      evidence,
    ),
  ];
}

function diskEvidence({ path, existing, freeBytes, sizeBytes, isMountPoint }: DiskFacts): Evidence {
  const on = isMountPoint
    ? 'a volume of its own'
    : existing === path
      ? `on the disk of its parent`
      : `would be on the disk of ${existing}`;
  return { where: path, what: `${on}, ${size(freeBytes)} of ${size(sizeBytes)} free` };
}

function size(bytes: number): string {
  if (bytes < 1e6) return 'less than 1 MB';
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}
