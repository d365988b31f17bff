import type { NodeFacts } from '../facts';
import { exitCodeOf, type Finding, type Severity } from '../finding';
import { foreignContainers, podContainers } from './pods';

/** The inventory of a node, which `-o json` prints in this form. */
export interface InventoryReport {
  /** The version of this form. */
  readonly v: 1;
  /** The version of the dockbridge that took the inventory. */
  readonly dockbridge: string;
  readonly node: NodeSummary;
  readonly summary: Readonly<Record<Severity, number>>;
  readonly findings: readonly Finding[];
  readonly exitCode: 0 | 2 | 3;
}

export interface NodeSummary {
  readonly hostname: string;
  readonly os: string;
  readonly arch: string;
  /** '' when no Engine answered. */
  readonly engine: string;
  readonly kubelet: string;
  readonly pods: number;
  readonly containers: number;
  /** Containers that belong to no pod. */
  readonly foreign: number;
  readonly images: number;
}

export function inventoryReport(
  dockbridge: string,
  facts: NodeFacts,
  findings: readonly Finding[],
): InventoryReport {
  const { host, engine, kubelet } = facts;
  const ofPods = podContainers(facts);
  const sandboxes = ofPods.filter(({ isSandbox }) => isSandbox).length;
  const number = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  return {
    v: 1,
    dockbridge,
    node: {
      ...{ hostname: host.hostname, os: host.os, arch: host.arch },
      engine: engine === undefined ? '' : `Docker Engine ${engine.version.Version}`,
      kubelet: kubelet?.from ?? '',
      pods: sandboxes,
      containers: ofPods.length - sandboxes,
      foreign: foreignContainers(facts).length,
      images: engine?.images.length ?? 0,
    },
    summary: { block: number('block'), change: number('change'), review: number('review'), ok: number('ok') },
    findings,
    exitCode: exitCodeOf(findings),
  };
}

/** What the inventory comes to, in a sentence. */
export function verdict({ summary: { block, change, review }, node }: InventoryReport): string {
  if (node.engine === '') return 'There is nothing to migrate.';
  if (block > 0)
    return `This node cannot move yet: ${block === 1 ? 'one finding forbids it' : `${block} findings forbid it`}.`;
  if (change > 0) return 'This node can move once the changes below are made; the plan makes most of them.';
  return review > 0
    ? 'This node can move. Look at the findings below first.'
    : 'This node can move as it is.';
}

/** The next step, as a sentence with a command. */
export function nextStep({ summary: { block }, node }: InventoryReport): string {
  if (node.engine === '') return 'Next: nothing. If the Engine is elsewhere, name it with --docker-endpoint.';
  return block > 0
    ? 'Next: resolve what forbids the move, then run `dockbridge migrate inventory` again.'
    : 'Next: `dockbridge migrate plan --to containerd --out DIR` writes the steps and the files.';
}

/** Where several nodes do the same work, replacing one is safer than changing it. */
export const REPLACE =
  'If this node can be replaced, drain it and add a new one with the new runtime instead: that is safer than a move in place.';

/** The headings of the page for the owner of the node. */
export const HEADINGS: Readonly<Record<Severity, string>> = {
  block: 'Forbids the move',
  change: 'Must change',
  review: 'Look at this',
  ok: 'In order',
};
