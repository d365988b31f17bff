import { parseObject } from '../../lib/json';
import type { DiskFacts, NodeFacts } from '../facts';
import { unsetKernelSettings } from '../kernel-settings';
import { engineSays, finding, linesIn, type Evidence, type Finding, type Theme } from './finding-of';
import { TARGETS, type Target } from '../mapping/row';
import { NAMES } from '../mapping/setting-findings';
import { containerLimits, numberOf, SOFT_DEFAULT } from '../open-files';
import { targetRoot } from '../target-root';
import { placeOf, podContainers } from './pods';

/** What the machine has only because Docker is there, and what the new runtime needs of it. */
export const host: Theme = (facts) => [
  ...cgroupDriver(facts),
  ...cgroupVersion(facts),
  ...openFiles(facts),
  ...sysctls(facts),
  ...iptables(facts),
  ...disks(facts),
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

/** How many containers a finding names. */
const MAX_EXAMPLES = 5;

function openFiles(facts: NodeFacts): readonly Finding[] {
  const { limits, units } = containerLimits(facts) ?? {};
  if (limits === undefined || units === undefined || numberOf(limits.soft) <= SOFT_DEFAULT) return [];
  const { soft, hard } = limits;
  const running = podContainers(facts).flatMap((pod): Evidence[] => {
    const { OpenFiles: own } = pod.container;
    return own?.soft === soft && own.hard === hard
      ? [{ where: placeOf(pod), what: `open files: soft ${soft}, hard ${hard}` }]
      : [];
  });
  return [
    finding(
      'change',
      'ulimits',
      'Containers may open more files on this Engine than on containerd 2 (soft limit 1024).',
      'The plan writes LimitNOFILE into a drop-in for the unit of the new runtime. Programs that raise their soft limit themselves need nothing.',
      [
        ...units.flatMap((path) => linesIn(facts, path, /^\s*LimitNOFILE\s*=/)),
        ...running.slice(0, MAX_EXAMPLES),
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

/** Reports the places of both targets once when they are on the same file system. */
function disks(facts: NodeFacts): readonly Finding[] {
  const [first, ...others] = TARGETS.flatMap((target) => diskFindings(facts, target));
  if (first === undefined) return [];
  const [, ownDisk] = first.evidence;
  return [first, ...others.filter(({ evidence: [, disk] }) => disk?.what !== ownDisk?.what)];
}

/** Compares the place of a target's data with that of the Engine's. Returns nothing when a file system is not known. */
export function diskFindings(facts: NodeFacts, target: Target): readonly Finding[] {
  const { engine, host: machine } = facts;
  if (engine === undefined) return [];
  const place = targetRoot(target, facts);
  const data = machine.disks.find(({ path }) => path === engine.info.DockerRootDir);
  const there = diskOf(place, machine.disks);
  if (data === undefined || there === undefined) return [];
  const used = new Set(podContainers(facts).map(({ container }) => container.Image));
  const bytes = engine.images.reduce((sum, { Id, Size }) => sum + (used.has(Id) ? Size : 0), 0);
  const evidence = [diskEvidence(data), { ...diskEvidence(there), where: place }];
  const isShort = there.freeBytes < bytes * 1.2;
  const isOnAnother = data.device !== there.device || (data.isMountPoint && there.path !== data.path);
  if (!isOnAnother && !isShort)
    return [
      finding(
        'ok',
        'disk',
        `${place} has room for a second copy of the images in use (${size(bytes)}).`,
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
        : `The data of ${NAMES[target]} will be in ${place}, on another disk than the Engine's.`,
      isOnAnother
        ? `Mount a volume at ${place} before the images are carried, or check that its disk has room for all images, writable layers and logs.`
        : 'Remove unused images, or give the new runtime a volume of its own.',
      evidence,
    ),
  ];
}

/** Finds the file system of a place: that of the place itself, or of the nearest directory above it that is known. */
function diskOf(place: string, known: readonly DiskFacts[]): DiskFacts | undefined {
  return known
    .filter(({ path }) => place === path || place.startsWith(`${path}/`))
    .sort((a, b) => b.path.length - a.path.length)[0];
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
