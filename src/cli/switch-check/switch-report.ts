import { columns } from '../../lib/columns';
import { counted } from '../../lib/counted';
import type { NodeProcess } from '../../node/process/node-processes';

/**
 * How serious a note is. A `note` can be read after the switch, a `warning` should be read before it, and a `problem` is a
 * reason not to switch.
 */
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
  /** What happens to the container's log. */
  readonly log: string;
}

/** The state that a pod will have after the switch. */
export interface PodPlan {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly attempt: number;
  readonly madeBy: 'dockbridge' | 'another runtime';
  readonly state: 'ready' | 'not ready';
  readonly network: NetworkKind;
  readonly ips: readonly string[];
  /** Host ports such as `8080→80/tcp`, with the node's address in front if the pod names one. */
  readonly hostPorts: readonly string[];
  readonly checkpoint: boolean;
  readonly containers: readonly ContainerPlan[];
  readonly notes: readonly Note[];
}

/** The report, which `-o json` prints in this form. */
export interface SwitchReport {
  readonly engine: { readonly endpoint: string; readonly version: string; readonly cgroupDriver: string };
  readonly processes: readonly NodeProcess[];
  readonly files: readonly string[];
  readonly checkpoints: readonly {
    readonly directory: string;
    readonly count: number;
    /** The ids of sandboxes that do not exist in the Engine. */
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

/** Returns the exit code: 0 for neither warnings nor problems; 1 for warnings; 2 for problems. */
export function exitCodeOf({ summary }: SwitchReport): 0 | 1 | 2 {
  if (summary.problems > 0) return 2;
  return summary.warnings > 0 ? 1 : 0;
}

const POD_HEAD = ['POD', 'STATE', 'NETWORK', 'IP', 'HOST PORTS', 'CONTAINERS', 'LOGS', 'NOTES'];
const NONE = '-';

/**
 * Renders the report for people: the facts about the node, a row for each pod, the notes with their pods, and a conclusion.
 */
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
  const what = `${counted(pods, 'pod')} with ${counted(containers, 'container')}`;
  if (problems > 0) return `${what}: solve the problems (${problems}) before you switch.`;
  if (warnings > 0) return `${what}: read the warnings (${warnings}), then switch.`;
  return `${what}: dockbridge can take over all of them as they are.`;
}
