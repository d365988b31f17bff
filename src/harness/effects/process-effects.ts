import { parseLimits } from '../../node/process/process-limits';
import { CAPABILITY_SETS, capabilitiesOf, parseProcessStatus } from '../../node/process/process-status';
import { effectsOf, type EffectValue, type Effects } from './effect';
import type { Sections } from './probe';

/** The container's main process, or a process that exec starts. Runtimes set up the rights of the two separately. */
export type ProcessKind = 'main' | 'exec';

const SECCOMP_MODES = ['off', 'strict', 'filter'];

/** Returns the rights, the limits, the environment, the working directory and the open files of a process. */
export function processEffects(sections: Sections, kind: ProcessKind): Effects {
  const of = (name: string): string | undefined => sections.get(`${kind}.${name}`);
  const prefix = kind === 'main' ? '' : 'exec.';
  const entries = [
    ...rights(of('status')),
    ...limits(of('limits')),
    ...environment(of('environ')),
    ['oom_score_adj', of('oom_score_adj')?.trim()] as const,
    ['working directory', of('cwd')] as const,
    ['security label', label(of('label'))] as const,
    ...[0, 1, 2].map((number) => [`fd ${number}`, openFile(of(`fd.${number}`))] as const),
  ];
  return effectsOf(entries.map(([name, value]) => [`${prefix}${name}`, value] as const));
}

type Entry = readonly [name: string, value: EffectValue | undefined];

function rights(text: string | undefined): Entry[] {
  if (text === undefined) return [];
  const { uids, gids, groups, capabilities, noNewPrivileges, seccomp, umask } = parseProcessStatus(text);
  return [
    ['uid', distinct(uids)],
    ['gid', distinct(gids)],
    ['groups', groups.map(String)],
    ['umask', umask],
    ['no_new_privs', noNewPrivileges === undefined ? undefined : noNewPrivileges ? 'yes' : 'no'],
    ['seccomp', seccomp === undefined ? undefined : (SECCOMP_MODES[seccomp] ?? String(seccomp))],
    ...CAPABILITY_SETS.map((set): Entry => [`capabilities.${set}`, capabilitiesOf(capabilities[set])]),
  ];
}

/** Returns one number if all four ids are equal, as they nearly always are; otherwise all four. */
function distinct(ids: readonly number[]): string {
  return new Set(ids).size === 1 ? String(ids[0]) : ids.join(' ');
}

function limits(text: string | undefined): Entry[] {
  return [...parseLimits(text ?? '')].map(([name, { soft, hard }]) => [
    `limit ${name.slice('Max '.length)}`,
    `soft ${soft} hard ${hard}`,
  ]);
}

function environment(text: string | undefined): Entry[] {
  return (text ?? '').split('\0').flatMap((variable): Entry[] => {
    const at = variable.indexOf('=');
    return at === -1 ? [] : [[`env ${variable.slice(0, at)}`, JSON.stringify(variable.slice(at + 1))]];
  });
}

/** Returns the label of AppArmor or SELinux; undefined if the kernel has neither. */
function label(text: string | undefined): string | undefined {
  const trimmed = text?.replace(/\0/g, '').trim() ?? '';
  return trimmed === '' ? undefined : trimmed;
}

/** Returns what a descriptor refers to, without the numbers of pipes and terminals, which differ each time. */
function openFile(target: string | undefined): string | undefined {
  return target?.replace(/:\[\d+\]$/, '').replace(/^\/dev\/pts\/\d+$/, 'terminal');
}
