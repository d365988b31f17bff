export { capabilitiesOf } from '../../translate/container/container-security';

export const CAPABILITY_SETS = ['inheritable', 'permitted', 'effective', 'bounding', 'ambient'] as const;
export type CapabilitySet = (typeof CAPABILITY_SETS)[number];

/** What /proc/PID/status tells about a process' rights (proc(5)). Lists are empty and numbers 0 where the text has no such line. */
export interface ProcessStatus {
  /** Real, effective, saved, and that of the file system. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  readonly capabilities: Readonly<Record<CapabilitySet, bigint>>;
  /** Undefined where the kernel does not tell it. */
  readonly noNewPrivileges: boolean | undefined;
  /** 0: off, 1: strict, 2: filter. */
  readonly seccomp: number | undefined;
  /** Octal, such as `0022`. */
  readonly umask: string | undefined;
}

export function parseProcessStatus(text: string): ProcessStatus {
  const line = (name: string): string | undefined => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1];
  const numbers = (name: string): number[] =>
    (line(name) ?? '')
      .split(/\s+/)
      .filter((part) => part !== '')
      .map(Number);
  const mask = (name: string): bigint => BigInt(`0x${/^[0-9a-f]+$/.exec(line(name) ?? '')?.[0] ?? '0'}`);
  return {
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    capabilities: {
      inheritable: mask('CapInh'),
      permitted: mask('CapPrm'),
      effective: mask('CapEff'),
      bounding: mask('CapBnd'),
      ambient: mask('CapAmb'),
    },
    noNewPrivileges: line('NoNewPrivs') === undefined ? undefined : line('NoNewPrivs') === '1',
    seccomp: numbers('Seccomp')[0],
    umask: line('Umask'),
  };
}
