import { columns } from '../../lib/columns';
import type { NodeProcess } from '../../node/process/node-processes';

/** How bad a note is: `note` can be read later, `warning` before, `problem` is a reason not to switch. */
export type Severity = 'note' | 'warning' | 'problem';

export interface Note {
  readonly severity: Severity;
  readonly text: string;
}

export type NetworkKind =
  'CNI' | 'CNI, no usable cache entry' | 'kubenet' | 'host' | 'Docker bridge' | 'unknown';

export interface ContainerPlan {
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly logDriver: string;
  /** What becomes of its log. */
  readonly log: string;
}

/** What a pod will look like after the switch. */
export interface PodPlan {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly attempt: number;
  readonly madeBy: 'dockbridge' | 'another runtime';
  readonly state: 'ready' | 'not ready';
  readonly network: NetworkKind;
  readonly ips: readonly string[];
  /** `8080→80/tcp`, with the node's address before it where there is one. */
  readonly hostPorts: readonly string[];
  readonly checkpoint: boolean;
  readonly containers: readonly ContainerPlan[];
  readonly notes: readonly Note[];
}

/** `-o json` prints this. */
export interface SwitchReport {
  readonly engine: { readonly endpoint: string; readonly version: string; readonly cgroupDriver: string };
  readonly processes: readonly NodeProcess[];
  readonly files: readonly string[];
  readonly checkpoints: readonly {
    readonly directory: string;
    readonly count: number;
    /** Ids of sandboxes that the Engine does not have. */
    readonly leftover: readonly string[];
  }[];
  readonly pods: readonly PodPlan[];
  /** Findings about the node as a whole. */
  readonly notes: readonly Note[];
  readonly summary: {
    readonly pods: number;
    readonly containers: number;
    readonly warnings: number;
    readonly problems: number;
  };
}

/** 0: nothing to read first; 1: warnings; 2: problems. */
export function exitCodeOf({ summary }: SwitchReport): 0 | 1 | 2 {
  if (summary.problems > 0) return 2;
  return summary.warnings > 0 ? 1 : 0;
}

const POD_HEAD = ['POD', 'STATE', 'NETWORK', 'IP', 'HOST PORTS', 'CONTAINERS', 'LOGS', 'NOTES'];
const NONE = '-';

/** The report for people: what is here, a row for each pod, notes with their pods, a sentence. */
export function renderReport(report: SwitchReport): string {
  const { engine, processes, files, checkpoints, pods } = report;
  const facts = [
    ['Engine', `${engine.version} at ${engine.endpoint}, cgroup driver ${engine.cgroupDriver || 'unknown'}`],
    ...processes.map(({ name, pid, args }) => [name, `process ${pid}: ${args.join(' ') || 'no arguments'}`]),
    ...files.map((file) => ['file', file]),
    ...checkpoints.map(({ directory, count, leftover }) => [
      'checkpoints',
      `${count} in ${directory}${leftover.length === 0 ? '' : `, ${leftover.length} of them of sandboxes that are gone`}`,
    ]),
  ];
  return [
    columns(facts),
    ...(pods.length === 0 ? [] : [columns([POD_HEAD, ...pods.map(row)])]),
    notes(report),
    `${sentence(report)}\n`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function row(pod: PodPlan): string[] {
  const { state, network, ips, hostPorts, containers } = pod;
  return [
    title(pod),
    state,
    network,
    ips.join(' ') || NONE,
    hostPorts.join(' ') || NONE,
    containers.map((one) => `${one.name} (${one.state})`).join(', ') || NONE,
    [...new Set(containers.map((one) => `${one.logDriver}: ${one.log}`))].join('; ') || NONE,
    String(pod.notes.length || NONE),
  ];
}

function title({ namespace, name, attempt }: PodPlan): string {
  return `${namespace}/${name}${attempt === 0 ? '' : ` #${attempt}`}`;
}

function notes({ notes: ofNode, pods }: SwitchReport): string {
  const line = ({ severity, text }: Note, whose: string): string[] => [severity, whose, text];
  const rows = [
    ...ofNode.map((note) => line(note, 'node')),
    ...pods.flatMap((pod) => pod.notes.map((note) => line(note, title(pod)))),
  ];
  const order = ['problem', 'warning', 'note'];
  return columns(rows.sort(([a = ''], [b = '']) => order.indexOf(a) - order.indexOf(b)));
}

function sentence({ summary }: SwitchReport): string {
  const { pods, containers, warnings, problems } = summary;
  const what = `${pods} pods with ${containers} containers`;
  if (problems > 0) return `${what}: do not switch before the problems (${problems}) are solved.`;
  if (warnings > 0) return `${what}: read the warnings (${warnings}), then switch.`;
  return `${what}: all can be taken over as they are.`;
}
