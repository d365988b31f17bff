import { columns } from '../../lib/columns';
import type { Note, PodPlan, SwitchReport } from './report';

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
