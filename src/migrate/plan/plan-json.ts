import type { Plan } from './plan';
import { sha256 } from './sha256';
import { unifiedDiff } from './unified-diff';

/** The version of plan.json. A reader refuses another one. */
export const PLAN_VERSION = 1;

/** A file of the plan, as plan.json describes it. */
export interface PlanFileJson {
  /** The absolute path on the node. */
  readonly path: string;
  /** Octal, such as `0644`. */
  readonly mode: string;
  /** User and group as numbers, such as `0:0`. */
  readonly owner: string;
  /** The id of the step that puts the file in its place. */
  readonly step: string;
  /** The whole new file, relative to the directory of the plan. */
  readonly source: string;
  /** The change as a unified diff; null for a new file. */
  readonly patch: string | null;
  /** null for a new file. */
  readonly sha256Before: string | null;
  readonly sha256After: string;
}

/** A file in the directory of the plan. */
export interface OutputFile {
  /** Relative to the directory. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/** Returns plan.json for programs. */
export function planJson(plan: Plan): string {
  const { version, target, hostname, origin, accepted, inventory, steps } = plan;
  const findings = plan.findings.map(({ id, severity }) => ({ id, severity }));
  const files = plan.files.map((file): PlanFileJson => ({
    path: file.path,
    mode: file.mode.toString(8).padStart(4, '0'),
    owner: `${file.owner?.uid ?? 0}:${file.owner?.gid ?? 0}`,
    step: file.step,
    source: sourceOf(file.path),
    patch: file.before === undefined ? null : patchOf(file.path),
    sha256Before: file.before === undefined ? null : sha256(file.before),
    sha256After: sha256(file.text),
  }));
  const json = {
    v: PLAN_VERSION,
    version,
    target,
    hostname,
    origin,
    accepted,
    findings,
    inventory,
    files,
    steps,
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** Returns the files of the node and the patches, as they are in the directory of the plan. */
export function outputFiles(plan: Plan): OutputFile[] {
  return plan.files.flatMap(({ path, text, mode, before }) => [
    { path: sourceOf(path), text, mode },
    ...(before === undefined ? [] : [{ path: patchOf(path), text: unifiedDiff(path, before, text), mode }]),
  ]);
}

function sourceOf(path: string): string {
  return `files${path}`;
}

function patchOf(path: string): string {
  return `patches${path}.patch`;
}
