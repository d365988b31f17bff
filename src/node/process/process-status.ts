export { capabilitiesOf } from '../../translate/container/container-security';

export const CAPABILITY_SETS = ['inheritable', 'permitted', 'effective', 'bounding', 'ambient'] as const;
export type CapabilitySet = (typeof CAPABILITY_SETS)[number];

/**
 * The rights of a process, from /proc/PID/status (proc(5)). A list is empty, and a set of capabilities is 0, when the text has
 * no such line.
 */
export interface ProcessStatus {
  /** The real, effective, saved and file system user IDs. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  readonly capabilities: Readonly<Record<CapabilitySet, bigint>>;
  /** Undefined when the kernel does not report it. */
  readonly noNewPrivileges: boolean | undefined;
  /** The seccomp mode: 0 means off, 1 strict, 2 filter. */
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
