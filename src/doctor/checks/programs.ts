import { access } from 'node:fs/promises';
import { hasProgram } from '../../server/checkpoint/checkpoint-to-archive';
import type { Check } from '../check';
import { fail, ok, warn, type Finding } from '../report';

interface Need {
  readonly program: string;
  /** What does not work without it. */
  readonly purpose: string;
  /** Debian's. */
  readonly package: string;
  readonly level: 'fail' | 'warn';
}

/** All that dockbridge executes, but for CNI plugins. */
const NEEDS: readonly Need[] = [
  { program: 'mount', purpose: 'pods on a CNI network', package: 'mount', level: 'fail' },
  { program: 'umount', purpose: 'the end of pods on a CNI network', package: 'mount', level: 'fail' },
  { program: 'flock', purpose: 'pods on a CNI network', package: 'util-linux', level: 'fail' },
  { program: 'nsenter', purpose: 'port-forward', package: 'util-linux', level: 'fail' },
  { program: 'tar', purpose: 'CheckpointContainer', package: 'tar', level: 'warn' },
];

const NOTIFY: Need = {
  program: 'systemd-notify',
  purpose: 'telling systemd that it is ready',
  package: 'systemd',
  level: 'warn',
};

/** Whether the programs that dockbridge executes are on this node. */
export const programs: Check = {
  id: 'programs',
  run: async () => {
    const isSystemd = await access('/run/systemd/system').then(
      () => true,
      () => false,
    );
    const needs = [...NEEDS, ...(isSystemd ? [NOTIFY] : [])];
    const there = await Promise.all(needs.map(({ program }) => hasProgram(program, process.env.PATH)));
    return judgePrograms(
      needs.map(({ program }) => program),
      needs.filter((_, at) => there[at] !== true).map(({ program }) => program),
    );
  },
};

export function judgePrograms(needed: readonly string[], missing: readonly string[]): readonly Finding[] {
  if (missing.length === 0) return [ok(needed.join(', '))];
  return [...NEEDS, NOTIFY]
    .filter(({ program }) => missing.includes(program))
    .map(({ program, purpose, package: name, level }) =>
      (level === 'fail' ? fail : warn)(
        `${program} is missing: ${purpose} needs it`,
        `apt install ${name}, or what your distribution calls it.`,
      ),
    );
}
