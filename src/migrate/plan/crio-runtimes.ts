import { parse } from 'smol-toml';
import { isObject, type JsonObject } from '../../lib/json';
import type { NodeFacts } from '../facts';
import type { Evidence, Finding } from '../finding';
import { RUNC, type OciRuntime, type TargetSettings } from '../mapping/target-settings';
import { CONMON_PLACES, programOf, runtimePlaces } from '../runtime-programs';
import type { TargetNode } from './containerd';

/** What CRI-O gets of the Engine's runtimes. */
export interface CrioRuntimes {
  /** The entries of `crio.runtime.runtimes`. */
  readonly entries: Readonly<Record<string, JsonObject>>;
  /** '' for CRI-O's own default. */
  readonly defaultRuntime: string;
  /** What a person has to do. Each one takes the place of the table's finding with the same id. */
  readonly findings: readonly Finding[];
}

/**
 * Returns the runtimes of CRI-O. An entry takes the place of another one with the same name as a whole, and one whose monitor is not
 * found keeps CRI-O from starting: an entry is written only for a runtime that CRI-O does not know, and only with paths of programs
 * that exist (CRI-O's pkg/config, TranslateMonitorFieldsForHandler).
 */
export function crioRuntimes(
  { runtimes, defaultRuntime }: TargetSettings,
  { executables, crioRuntimes: known }: Pick<TargetNode, 'executables' | 'crioRuntimes'>,
): CrioRuntimes {
  const there = new Set(executables);
  const conmon = CONMON_PLACES.find((path) => there.has(path)) ?? '';
  const entries: Record<string, JsonObject> = {};
  const missing: Evidence[] = [];
  for (const runtime of runtimes.filter(({ name }) => !known.includes(name))) {
    const program = runtimePlaces(runtime).find((path) => there.has(path)) ?? '';
    if (conmon !== '' && program !== '')
      entries[runtime.name] = { ...entryOf(runtime, program), monitor_path: conmon };
    else missing.push({ where: `runtime ${runtime.name}`, what: lackOf(runtime, program) });
  }
  const isKnown = defaultRuntime in entries || known.includes(defaultRuntime);
  return {
    entries,
    defaultRuntime: isKnown ? defaultRuntime : '',
    findings: [
      ...(missing.length === 0 ? [] : [withoutEntry(missing)]),
      ...(defaultRuntime === '' || isKnown ? [] : [withoutDefault(defaultRuntime)]),
    ],
  };
}

function entryOf(runtime: OciRuntime, program: string): JsonObject {
  const { name, type, options } = runtime;
  if (type === RUNC) return { runtime_path: program, runtime_type: 'oci', runtime_root: `/run/crio-${name}` };
  return {
    runtime_path: program,
    runtime_type: 'vm',
    runtime_root: `/run/vc-${name}`,
    ...(typeof options.ConfigPath === 'string' ? { runtime_config_path: options.ConfigPath } : {}),
  };
}

function lackOf(runtime: OciRuntime, program: string): string {
  if (program !== '') return `no conmon in ${CONMON_PLACES.join(', ')}`;
  const name = programOf(runtime);
  return name === '' ? 'nothing names its program' : `${name} is not on the node`;
}

function withoutEntry(evidence: readonly Evidence[]): Finding {
  return {
    id: 'setting-runtimes',
    severity: 'change',
    summary: 'The plan writes no entry of CRI-O for runtimes whose programs it does not find.',
    evidence,
    advice:
      'Install CRI-O and the runtimes on this node, without starting CRI-O, and plan again. Or write the entries of crio.runtime.runtimes yourself, ' +
      'with absolute paths as runtime_path and monitor_path: CRI-O does not start when it does not find the monitor. Pods whose RuntimeClass names a missing runtime fail.',
    link: 'docs/migrating.md#runtimes',
  };
}

function withoutDefault(name: string): Finding {
  const isRunc = name === 'runc';
  return {
    id: 'setting-default-runtime',
    severity: isRunc ? 'review' : 'change',
    summary: `The plan does not make ${name} the default of CRI-O, because no configuration of CRI-O on this node defines it.`,
    evidence: [{ where: 'engine', what: `default-runtime ${name}` }],
    advice: isRunc
      ? 'CRI-O takes the default of its package, which is crun in new ones. Pods do not see a difference. To keep runc, install CRI-O, without starting it, and plan again: its package defines runc.'
      : 'Install CRI-O and the runtime on this node, without starting CRI-O, and plan again. Otherwise pods that name no RuntimeClass get the default of the package.',
    link: 'docs/migrating.md#runtimes',
  };
}

const CRIO_FILES = /^\/etc\/crio\/crio\.conf(\.d\/[^/]+\.conf)?$/;

/** Returns the names of the runtimes that the node's configuration of CRI-O defines, without those in the files of a plan. */
export function definedRuntimes({ files }: Pick<NodeFacts, 'files'>, ours: readonly string[]): string[] {
  const names = Object.entries(files)
    .filter(([path]) => CRIO_FILES.test(path) && !ours.includes(path))
    .flatMap(([, { text }]) => runtimesIn(text));
  return [...new Set(names)];
}

function runtimesIn(text: string): string[] {
  try {
    let value: unknown = parse(text);
    for (const key of ['crio', 'runtime', 'runtimes']) value = isObject(value) ? value[key] : undefined;
    return isObject(value) ? Object.keys(value) : [];
  } catch {
    // CRI-O itself reports a broken file at its start.
    return [];
  }
}
