import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';

const PARTS = ['user', 'role', 'type', 'level'] as const;
const NAME = /^[\w.]+$/;
/** `s0`, `s0:c1,c2.c5`, `s0-s15:c0.c1023`: a sensitivity or a range, each with its categories. */
const LEVEL = /^s\d+(:c\d+([.,]c\d+)*)?(-s\d+(:c\d+([.,]c\d+)*)?)?$/;

/**
 * SELinuxOption → SecurityOpt. Checked here because the Engine would find a malformed label only at start, and on a node
 * without SELinux (where labels mean nothing, as Kubernetes documents) never.
 */
export function selinuxOptions(options: Decoded<cri.ISELinuxOption> | null, field: string): string[] {
  if (options === null) return [];
  return PARTS.filter((part) => options[part] !== '').map((part) => {
    const value = options[part];
    if (!(part === 'level' ? LEVEL : NAME).test(value)) {
      throw invalidArgument(
        `${field}.${part}`,
        `${JSON.stringify(value.slice(0, 100))} is no SELinux ${part}`,
      );
    }
    return `label=${part}:${value}`;
  });
}
